"""Which pages are looked at: every list in its orders and filters, every kind of search, far back and near."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.urls import reverse

from tests.bench.asking import Sight, analytic_sight, desk_sight, report_sight
from tests.bench.past import Samples
from transactions.domain.values import Operation, Status

_LIST: Final = "admin:transactions_payment_changelist"
_OTHERS: Final = (
    "queueing_lane",
    "transactions_job",
    "transactions_hostfile",
    "transactions_merchant",
    "transactions_apikey",
    "transactions_webhookendpoint",
    "transactions_webhookreplay",
    "staff_request",
    "processor_link",
    "processor_route",
    "auth_user",
    "auth_group",
)


def sights(of: Samples) -> Iterator[Sight]:
    """Yield every page that is measured."""
    yield desk_sight("desk", reverse("admin:index"))
    yield desk_sight("desk, as it refreshes", reverse("desk_figures"))
    yield from _lists(of)
    yield from _filtered(of)
    yield from _searched(of)
    for name, payment_id in (
        ("a payment", of.middle.id),
        ("a reversed payment", of.reversed.id),
        ("a payment of 60 attempts", of.often),
    ):
        yield Sight(name, reverse("admin:transactions_payment_change", args=[payment_id]), {})
    yield from _reports(of)
    yield from _of_others(of)
    # last: all of this is one transaction, and what bounds a report lasts as long as its transaction
    yield from _analytic(of)


def _payments(name: str, **query: Any) -> Sight:
    return Sight(f"payments: {name}", reverse(_LIST), query)


def _lists(of: Samples) -> Iterator[Sight]:
    yield _payments("newest")
    yield _payments("halfway back", before=of.middle.id)
    yield _payments("halfway back, newer", after=of.middle.id)
    yield _payments("the oldest, newer", after=of.oldest)
    yield _payments("beyond the oldest", before=of.oldest)


def _filtered(of: Samples) -> Iterator[Sight]:
    yield from (_payments(f"status {status}", status__exact=status) for status in Status)
    yield from (_payments(f"operation {operation}", operation__exact=operation) for operation in Operation)
    merchant = {"merchant": of.middle.merchant_id}
    yield _payments("link", link="bank")
    yield _payments("merchant", **merchant)
    yield _payments("merchant, halfway back", **merchant, before=of.middle.id)
    day = of.middle.created_at.date()
    a_day, a_month = _period(day, 0), _period(day, 30)
    yield _payments("a day", **a_day)
    yield _payments("a month", **a_month)
    yield _payments("merchant and a day", **merchant, **a_day)
    yield _payments("declined withdrawals", status__exact="declined", operation__exact="withdrawal")
    yield _payments("declined, halfway back, newer", status__exact="declined", after=of.middle.id)
    yield _payments("refunds of a month, of which there are none", operation__exact="refund", **a_month)
    yield _payments("reversed of a merchant", status__exact="reversed", **merchant)
    yield _payments("reversed of a month", status__exact="reversed", **a_month)
    yield _payments("reversed, halfway back, newer", status__exact="reversed", after=of.middle.id)
    yield _payments("failed of a merchant and a month", status__exact="failed", **merchant, **a_month)
    yield Sight("cancel all that are queued", reverse("admin:payments_cancel"), {"status__exact": "queued"}, status=302)


def _period(day: Any, days: int) -> dict[str, str]:
    return {"created_at_from": f"{day}", "created_at_to": f"{day + timedelta(days=days)}"}


def _searched(of: Samples) -> Iterator[Sight]:
    sought, usual = of.middle, "100,000.00"
    terms = {
        "id": sought.id,
        "reference": sought.reference,
        "STAN": sought.stan,
        "RRN": sought.rrn,
        "bank's RRN": sought.host_rrn,
        "authorisation code": sought.authorisation_code,
        "last four": sought.card_last4,
        "an amount": f"{sought.amount / 100:,.2f}",
        "a usual amount": usual,
        "a usual amount with its currency": f"IDR {usual}",
        "client's key": sought.idempotency_key,
        "what is not there": "no-such-thing",
        "six digits that are not there": "999998",
    }
    yield from (_payments(f"search, {name}", q=term) for name, term in terms.items())
    yield _payments("search, last four, halfway back", q=sought.card_last4, before=sought.id)
    yield _payments("search, usual amount, halfway back", q=usual, before=sought.id)
    yield _payments("search, usual amount, halfway back, newer", q=usual, after=sought.id)
    yield _payments("search, usual amount, reversed", q=usual, status__exact="reversed")
    yield _payments("search, usual amount, deposits", q=usual, operation__exact="deposit")
    yield _payments("search, usual amount, a day", q=usual, **_period(sought.created_at.date(), 0))
    yield _payments("search, last four, declined", q=sought.card_last4, status__exact="declined")
    yield _payments("search, code of a merchant", q=sought.authorisation_code, merchant=sought.merchant_id)


def _reports(of: Samples) -> Iterator[Sight]:
    report = reverse("report_settlement")
    yield report_sight("settlement of a day", report, {"day": of.day})
    yield report_sight("settlement of a day over a link", report, {"day": of.day, "link": "bank"})
    yield report_sight("settlement of the last day", report, {"day": of.now.date()})


def _analytic(of: Samples) -> Iterator[Sight]:
    last = of.now.date()
    for name in ("success", "values", "hours", "responses", "slowest"):
        for span, days in (("week", 7), ("month, as far as it is read", 31)):
            period = {"first": last - timedelta(days=days - 1), "last": last}
            yield analytic_sight(f"{name} of a {span}", reverse(f"report_{name}"), period)


def _of_others(of: Samples) -> Iterator[Sight]:
    yield from _of_list(
        "audit",
        "staff_record",
        {
            "newest": {},
            "page 400": {"p": 400},
            "a name": {"q": "member7"},
            "an action": {"q": "sign_in"},
            "a thing": {"q": of.middle.id},
            "refused": {"result__exact": "refused"},
            "a day": {
                "at_from": f"{of.now.date() - timedelta(days=20)}",
                "at_to": f"{of.now.date() - timedelta(days=20)}",
            },
        },
    )
    yield from _of_list(
        "messages",
        "processor_message",
        {
            "newest": {},
            "page 400": {"p": 400},
            "of a payment": {"q": of.middle.id},
            "to the bank": {"outward": "True"},
            "reversals": {"mti": "0420"},
            "an MTI that is not there": {"mti": "0110"},
            "link": {"link": "bank"},
        },
    )
    yield from _of_list(
        "queue",
        "queueing_queueentry",
        {
            "oldest": {},
            "page 200": {"p": 200},
            "held": {"state__exact": "held"},
            "of a payment": {"q": of.middle.id},
            "link": {"link": "bank"},
        },
    )
    yield from _of_list(
        "webhooks",
        "transactions_webhookdelivery",
        {
            "newest": {},
            "page 400": {"p": 400},
            "given up": {"state__exact": "exhausted"},
            "waiting": {"state__exact": "pending"},
            "of a payment": {"q": of.middle.id},
        },
    )
    for model in _OTHERS:
        yield Sight(model.partition("_")[2], reverse(f"admin:{model}_changelist"), {})


def _of_list(name: str, model: str, queries: dict[str, dict[str, Any]]) -> Iterator[Sight]:
    address = reverse(f"admin:{model}_changelist")
    yield from (Sight(f"{name}: {narrowed}", address, query) for narrowed, query in queries.items())
