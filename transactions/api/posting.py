"""How a payment is posted: its key, how long the client would wait, the wait, and the answer."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.urls import reverse
from rest_framework.exceptions import ParseError, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transactions import accepting, selectors
from transactions.accepting import Receipt
from transactions.api.batches import is_key
from transactions.api.problems import IdempotencyKeyWrong, request_id
from transactions.api.throttle import KeyRate
from transactions.domain.values import FINAL
from transactions.showing import payment_out
from transactions.waiting import Wait, let_go_of_connection, waits

_LONGEST_WAIT_S: Final = 60
#: of a wait; Python refuses to read a number of thousands
_MOST_DIGITS: Final = 9

#: takes a payment in, with the id that it shall have where it is new
Take = Callable[..., Receipt]


class PostingView(APIView):
    """Takes payments in. A replay is answered before a throttle may refuse (I1), so the bucket is asked here."""

    def check_throttles(self, request: Request) -> None:
        """Leave a POST to `take_in`."""
        if request.method != "POST":
            super().check_throttles(request)

    def too_fast(self, request: Request, payments: int = 1) -> Throttled | None:
        """Take tokens for payments; return the refusal of new ones where there is none."""
        throttle = KeyRate()
        return None if throttle.allow_request(request, self, payments) else Throttled(throttle.wait())

    def take_in(self, request: Request, order: Any, take: Take) -> Response:
        """Accept an order under the request's key, and wait for its end as long as the client prefers."""
        client: Any = request.user
        details = {
            "merchant_id": client.merchant_id,
            "idempotency_key": idempotency_key(request),
            "actor": client.actor,
            "request_id": request_id(),
            "refusal": self.too_fast(request),
        }

        def accept(payment_id: UUID | None = None) -> Receipt:
            return take(order, **details, payment_id=payment_id)

        preferred = _preferred_wait(request)
        return _wait_for_end(accept, preferred) if preferred else _answer(accept())


def required_body(request: Request) -> Any:
    """DRF takes no body for an empty object; it is no JSON."""
    if not int(request.META.get("CONTENT_LENGTH") or 0):
        raise ParseError
    return request.data


def optional_body(request: Request) -> Any:
    """No body says as much as an empty object."""
    return request.data if int(request.META.get("CONTENT_LENGTH") or 0) else {}


def idempotency_key(request: Request) -> str:
    """A header sent twice arrives joined by a comma, so a key has none."""
    key = str(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
    if not is_key(key):
        raise IdempotencyKeyWrong
    return key


def is_final(payment: Any) -> bool:
    """True for a payment that has ended."""
    return payment.status in FINAL


def _wait_for_end(accept: Take, seconds: int) -> Response:
    """Registered before it is accepted, so that no end is missed; the connection goes back meanwhile."""
    with waits.room() as may_wait:
        if not may_wait:
            return _answer(accept())
        payment_id = accepting.new_payment_id()
        with waits.of(payment_id) as wait:
            receipt = accept(payment_id)
            if not receipt.replayed:
                return _waited(receipt, wait, seconds)
        if is_final(receipt.payment):
            return _answer(receipt)
        with waits.of(receipt.payment.id) as wait:
            ended = next(iter(selectors.ended([receipt.payment.id])), None)
            return _answer(receipt, ended, seconds) if ended else _waited(receipt, wait, seconds)


def _answer(receipt: Receipt, later: Any | None = None, waited: int | None = None) -> Response:
    """200 with a payment that has ended, 202 and where to look for one that has not."""
    payment = later or receipt.payment
    headers = {"Location": f"{_payments()}/{payment.id}"}
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    if waited:
        headers["Preference-Applied"] = f"wait={waited}"
    return Response(payment_out(payment), status=200 if is_final(payment) else 202, headers=headers)


@cache
def _payments() -> str:
    return reverse("payments")


def _waited(receipt: Receipt, wait: Wait, seconds: int) -> Response:
    """The payment as it ended, or as it is when the time is over."""
    let_go_of_connection()
    ended = wait.until_ended(seconds)
    return _answer(receipt, ended or selectors.one(receipt.payment.merchant_id, receipt.payment.id), seconds)


def _preferred_wait(request: Request) -> int:
    """RFC 7240: what cannot be read is not preferred."""
    for preference in request.META.get("HTTP_PREFER", "").split(","):
        name, _, value = preference.split(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(int(value.strip()[:_MOST_DIGITS]), _LONGEST_WAIT_S)
    return 0
