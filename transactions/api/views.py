"""The payments' addresses: parse, call a service, render."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.http import Http404
from django.urls import reverse
from rest_framework.exceptions import ParseError, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transactions import selectors, services
from transactions.api import openapi
from transactions.api.problems import CursorWrong, IdempotencyKeyWrong, ParameterWrong, request_id
from transactions.api.responses import events_out, payment_out
from transactions.api.serializers import parse_payment
from transactions.api.throttle import KeyRate
from transactions.domain.values import FINAL, Operation, ReasonCode, Status
from transactions.services import Receipt
from transactions.waiting import Wait, let_go_of_connection, waits

_LONGEST_KEY: Final = 255
_LONGEST_WAIT_S: Final = 60
#: of a wait; Python refuses to read a number of thousands
_MOST_DIGITS: Final = 9
_PAGE: Final = 25
_LARGEST_PAGE: Final = 100
_CURSOR_SALT: Final = "ferryman.payments"


class PaymentsView(APIView):
    """`/payments`"""

    scopes: Mapping[str, str] = {"POST": "pay", "GET": "read"}

    def check_throttles(self, request: Request) -> None:
        """A replay is answered before a throttle may refuse (I1): `post` asks the bucket itself."""
        if request.method != "POST":
            super().check_throttles(request)

    @openapi.accepting()
    def post(self, request: Request) -> Response:
        """Accept a payment, and wait for its end as long as the client prefers."""
        key = _idempotency_key(request)
        payment = parse_payment(_body(request))
        client: Any = request.user
        throttle = KeyRate()
        allowed = throttle.allow_request(request, self)
        details = {
            "merchant_id": client.merchant_id,
            "idempotency_key": key,
            "actor": client.actor,
            "request_id": request_id(),
            "refusal": None if allowed else Throttled(throttle.wait()),
        }
        preferred = _preferred_wait(request)
        if preferred:
            return self._wait_for_end(payment.order(), details, preferred)
        return _answer(services.accept(payment.order(), **details))

    @openapi.listing()
    def get(self, request: Request) -> Response:
        """List the merchant's payments, newest first."""
        client: Any = request.user
        filters, before, limit = _listing(request)
        found = selectors.page(client.merchant_id, filters, before, limit + 1)
        following = _page_address(request, found[limit - 1].id) if len(found) > limit else None
        return Response({"items": [payment_out(row) for row in found[:limit]], "next": following})

    def _wait_for_end(self, order: services.Order, details: dict[str, Any], seconds: int) -> Response:
        """Registered before it is accepted, so that no end is missed; the connection goes back meanwhile."""
        with waits.room() as may_wait:
            if not may_wait:
                return _answer(services.accept(order, **details))
            payment_id = services.new_payment_id()
            with waits.of(payment_id) as wait:
                receipt = services.accept(order, **details, payment_id=payment_id)
                if not receipt.replayed:
                    return _waited(receipt, wait, seconds)
            if _is_final(receipt.payment):
                return _answer(receipt)
            with waits.of(receipt.payment.id) as wait:
                ended = next(iter(selectors.ended([receipt.payment.id])), None)
                return _answer(receipt, ended, seconds) if ended else _waited(receipt, wait, seconds)


class PaymentView(APIView):
    """`/payments/{id}`"""

    scopes: Mapping[str, str] = {"GET": "read"}

    @openapi.showing()
    def get(self, request: Request, payment_id: UUID) -> Response:
        """Return one payment."""
        return Response(payment_out(_found(request, payment_id)))


class EventsView(APIView):
    """`/payments/{id}/events`"""

    scopes: Mapping[str, str] = {"GET": "read"}

    @openapi.telling()
    def get(self, request: Request, payment_id: UUID) -> Response:
        """Return all that happened to a payment."""
        client: Any = request.user
        found = selectors.events(client.merchant_id, payment_id)
        if not found:
            raise Http404
        return Response(events_out(found))


class CancelView(APIView):
    """`/payments/{id}/cancel`"""

    scopes: Mapping[str, str] = {"POST": "pay"}

    @openapi.cancelling()
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Cancel a payment of which nothing was sent; again is the same."""
        client: Any = request.user
        _found(request, payment_id)
        services.cancel(payment_id, actor=client.actor, reason=ReasonCode.CANCELLED_BY_CLIENT)
        return Response(payment_out(_found(request, payment_id)))


def _answer(receipt: Receipt, later: Any | None = None, waited: int | None = None) -> Response:
    """200 with a payment that has ended, 202 and where to look for one that has not."""
    payment = later or receipt.payment
    headers = {"Location": reverse("payment", args=[payment.id])}
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    if waited:
        headers["Preference-Applied"] = f"wait={waited}"
    return Response(payment_out(payment), status=200 if _is_final(payment) else 202, headers=headers)


def _waited(receipt: Receipt, wait: Wait, seconds: int) -> Response:
    """The payment as it ended, or as it is when the time is over."""
    let_go_of_connection()
    ended = wait.until_ended(seconds)
    return _answer(receipt, ended or selectors.one(receipt.payment.merchant_id, receipt.payment.id), seconds)


def _is_final(payment: Any) -> bool:
    return payment.status in FINAL


def _found(request: Request, payment_id: UUID) -> Any:
    client: Any = request.user
    row = selectors.one(client.merchant_id, payment_id)
    if row is None:
        raise Http404
    return row


def _body(request: Request) -> Any:
    """DRF takes no body for an empty object; it is no JSON."""
    if not int(request.META.get("CONTENT_LENGTH") or 0):
        raise ParseError
    return request.data


def _idempotency_key(request: Request) -> str:
    """A header sent twice arrives joined by a comma, so a key has none."""
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()) or "," in key:
        raise IdempotencyKeyWrong
    return key


def _preferred_wait(request: Request) -> int:
    """RFC 7240: what cannot be read is not preferred."""
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.split(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(int(value.strip()[:_MOST_DIGITS]), _LONGEST_WAIT_S)
    return 0


def _listing(request: Request) -> tuple[selectors.Filters, UUID | None, int]:
    asked = request.query_params
    try:
        before = UUID(signing.loads(asked["cursor"], salt=_CURSOR_SALT)) if "cursor" in asked else None
    except (ValueError, signing.BadSignature):
        raise CursorWrong from None
    limit, reference = asked.get("limit", str(_PAGE)), asked.get("reference")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _LARGEST_PAGE):
        raise ParameterWrong(f"`limit` is a number from 1 to {_LARGEST_PAGE}.")
    if reference and not reference.isprintable():
        raise ParameterWrong("`reference` has no control characters.")
    filters = selectors.Filters(_choice(asked, "status", Status), _choice(asked, "operation", Operation), reference)
    return filters, before, int(limit)


def _choice(asked: Mapping[str, str], name: str, values: type[Enum]) -> str | None:
    known = [str(value.value) for value in values]
    if name in asked and asked[name] not in known:
        raise ParameterWrong(f"`{name}` is one of: {', '.join(known)}.")
    return asked.get(name)


def _page_address(request: Request, last: UUID) -> str:
    asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{request.path}?{urlencode({**asked, 'cursor': signing.dumps(str(last), salt=_CURSOR_SALT)})}"
