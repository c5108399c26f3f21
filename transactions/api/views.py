"""The payments' addresses: parse, call a service, render."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transactions import accepting, batching, following, paging, selectors, services
from transactions.accepting import Receipt
from transactions.api import openapi
from transactions.api.batches import BatchOut, BatchResultOut, parse_batch
from transactions.api.followups import parse_follow_up
from transactions.api.listing import listing_of, page_address
from transactions.api.posting import PostingView, is_final, optional_body, required_body
from transactions.api.problems import problem_of, request_id, retry_after
from transactions.api.rendering import BatchParser
from transactions.api.responses import events_out, payments_out
from transactions.api.serializers import parse_payment
from transactions.batching import Item
from transactions.domain.values import Operation, ReasonCode
from transactions.showing import payment_out


class PaymentsView(PostingView):
    """`/payments`"""

    scopes: Mapping[str, str] = {"POST": "pay", "GET": "read"}

    @openapi.accepting()
    def post(self, request: Request) -> Response:
        """Accept a payment."""
        order = parse_payment(required_body(request)).order()
        return self.take_in(request, order, accepting.accept)

    @openapi.listing()
    def get(self, request: Request) -> Response:
        """List the merchant's payments, newest first."""
        client: Any = request.user
        filters, before, limit = listing_of(request)
        page = paging.page(client.merchant_id, filters, before, limit)
        after = page_address(request, page.before) if page.before else None
        return Response({"items": payments_out(page.payments), "next": after})


class BatchView(PostingView):
    """`/payments/batch`"""

    scopes: Mapping[str, str] = {"POST": "pay"}
    parser_classes = (BatchParser,)

    @openapi.batching()
    def post(self, request: Request) -> Response:
        """Accept many payments; what is wrong with one stops no other."""
        client: Any = request.user
        asked = parse_batch(required_body(request))
        received = batching.accept_many(
            [item for item in asked if isinstance(item, Item)],
            merchant_id=client.merchant_id,
            actor=client.actor,
            request_id=request_id(),
            refusal=self.too_fast(request, len(asked)),
        )
        results = iter(received)
        told = [next(results) if isinstance(item, Item) else item for item in asked]
        return Response(BatchOut([_result(result, request) for result in told]))


class PaymentView(APIView):
    """`/payments/{id}`"""

    scopes: Mapping[str, str] = {"GET": "read"}

    @openapi.showing()
    def get(self, request: Request, payment_id: UUID) -> Response:
        """Return one payment."""
        return Response(payments_out([_found(request, payment_id)])[0])


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


class FollowUpView(PostingView):
    """What is asked of an approved payment: a payment of its own, that names it."""

    scopes: Mapping[str, str] = {"POST": "pay"}
    operation: ClassVar[Operation]

    def follow(self, request: Request, payment_id: UUID) -> Response:
        """Accept the child."""
        order = parse_follow_up(optional_body(request), self.operation).order(self.operation, payment_id)
        return self.take_in(request, order, following.follow)


class CaptureView(FollowUpView):
    """`/payments/{id}/capture`"""

    operation = Operation.CAPTURE

    @openapi.following(Operation.CAPTURE)
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Take an authorised amount, or a part of it."""
        return self.follow(request, payment_id)


class RefundView(FollowUpView):
    """`/payments/{id}/refund`"""

    operation = Operation.REFUND

    @openapi.following(Operation.REFUND)
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Give back what was paid, or a part of it."""
        return self.follow(request, payment_id)


class VoidView(FollowUpView):
    """`/payments/{id}/void`"""

    operation = Operation.VOID

    @openapi.following(Operation.VOID)
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Undo a payment as a whole."""
        return self.follow(request, payment_id)


def _found(request: Request, payment_id: UUID) -> Any:
    client: Any = request.user
    row = selectors.one(client.merchant_id, payment_id)
    if row is None:
        raise Http404
    return row


def _result(result: Receipt | Exception, request: Request) -> BatchResultOut:
    """What a single payment's answer would have been."""
    if isinstance(result, Receipt):
        status = 200 if is_final(result.payment) else 202
        return BatchResultOut(status=status, replayed=result.replayed, payment=payment_out(result.payment))
    problem = problem_of(result, request._request)  # noqa: SLF001  (DRF gives no other way to Django's request)
    if problem is None:
        raise result
    return BatchResultOut(status=problem.status, retry_after=retry_after(result), problem=problem)
