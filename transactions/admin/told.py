"""A payment's webhooks, as chapters of its story: what was told to whom, and how each try went."""

from typing import Final

from django.utils.translation import gettext as _

from transactions.admin import words
from transactions.admin.story import Chapter
from transactions.models import Payment, WebhookAttempt

_MOST: Final = 100


def chapters_of(payment: Payment) -> list[Chapter]:
    """Return every try to tell how a payment ended."""
    tries = WebhookAttempt.objects.filter(delivery__message__payment_id=payment.id).order_by("id")
    return [
        _chapter(attempt)
        for attempt in tries.select_related("delivery__message", "delivery__endpoint", "delivery__replay")[:_MOST]
    ]


def _chapter(attempt: WebhookAttempt) -> Chapter:
    delivery = attempt.delivery
    was_taken = attempt.response_code is not None and 200 <= attempt.response_code < 300
    title = _("Webhook %(type)s") % {"type": delivery.message.type}
    detail = _("%(url)s: %(result)s in %(ms)s ms, try %(number)s") % {
        "url": delivery.endpoint.url,
        "result": attempt.response_code or words.spoken(attempt.error),
        "ms": attempt.duration_ms,
        "number": attempt.number,
    }
    by = words.actor(delivery.replay.actor) if delivery.replay else ""
    return Chapter(attempt.at, title, detail, by, "good" if was_taken else "waiting")
