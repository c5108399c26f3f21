"""The webhook endpoints' addresses: parse, call a service, render."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transactions.api import webhook_openapi as openapi
from transactions.api.checking import FieldError, Unacceptable, parse
from transactions.api.problems import CursorWrong, ParameterWrong
from transactions.api.webhook_shapes import (
    DeliveriesOut,
    EndpointsOut,
    RotationIn,
    deliveries_out,
    endpoint_made_out,
    endpoint_out,
    parse_change,
    parse_endpoint,
)
from transactions.models import WebhookDelivery
from transactions.webhooks import endpoints, replaying
from transactions.webhooks.errors import AddressRefused

_PAGE: Final = 25
_CURSOR_SALT: Final = "ferryman.webhook-deliveries"


class EndpointsView(APIView):
    """`/webhook-endpoints`"""

    scopes: Mapping[str, str] = {"POST": "webhooks", "GET": "webhooks"}

    @openapi.creating()
    def post(self, request: Request) -> Response:
        """Make an endpoint; its secret is shown this once."""
        client: Any = request.user
        wanted = parse_endpoint(request.data).wanted()
        try:
            endpoint, secret = endpoints.create(client.merchant_id, wanted, actor=client.actor)
        except AddressRefused as refused:
            raise _refusal(refused) from None
        headers = {"Location": reverse("webhook-endpoint", args=[endpoint.id])}
        return Response(endpoint_made_out(endpoint, secret), status=201, headers=headers)

    @openapi.listing()
    def get(self, request: Request) -> Response:
        """List the merchant's endpoints."""
        client: Any = request.user
        return Response(EndpointsOut([endpoint_out(one) for one in endpoints.live(client.merchant_id)]))


class EndpointView(APIView):
    """`/webhook-endpoints/{id}`"""

    scopes: Mapping[str, str] = {"GET": "webhooks", "PATCH": "webhooks", "DELETE": "webhooks"}

    @openapi.showing()
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """Return one endpoint."""
        client: Any = request.user
        return Response(endpoint_out(endpoints.one(client.merchant_id, endpoint_id)))

    @openapi.changing()
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change what is given."""
        client: Any = request.user
        wanted = parse_change(request.data)
        try:
            changed = endpoints.change(
                client.merchant_id, endpoint_id, wanted.changes(), enabled=wanted.enabled, actor=client.actor
            )
        except AddressRefused as refused:
            raise _refusal(refused) from None
        return Response(endpoint_out(changed))

    @openapi.deleting()
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Tell nothing there any more."""
        client: Any = request.user
        endpoints.delete(client.merchant_id, endpoint_id, actor=client.actor)
        return Response(status=204)


class RotationView(APIView):
    """`/webhook-endpoints/{id}/rotate-secret`"""

    scopes: Mapping[str, str] = {"POST": "webhooks"}

    @openapi.rotating()
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Give the endpoint a new secret, shown this once."""
        client: Any = request.user
        wanted = parse(request.data or {}, RotationIn)
        rotated = endpoints.rotate(client.merchant_id, endpoint_id, wanted.overlap, actor=client.actor)
        return Response(endpoint_made_out(*rotated))


class TrialView(APIView):
    """`/webhook-endpoints/{id}/test`"""

    scopes: Mapping[str, str] = {"POST": "webhooks"}

    @openapi.testing()
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send a message that tells of no payment."""
        client: Any = request.user
        delivery = endpoints.send_test(client.merchant_id, endpoint_id)
        return Response(deliveries_out([delivery])[0], status=202)


class DeliveriesView(APIView):
    """`/webhook-endpoints/{id}/deliveries`"""

    scopes: Mapping[str, str] = {"GET": "webhooks"}

    @openapi.delivering()
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """List what was sent to an endpoint, newest first, with every try."""
        client: Any = request.user
        found = WebhookDelivery.objects.filter(endpoint=endpoints.one(client.merchant_id, endpoint_id))
        if state := _state(request):
            found = found.filter(state=state)
        if before := _before(request):
            found = found.filter(id__lt=before)
        page = list(found.select_related("message").order_by("-id")[: _PAGE + 1])
        following = _page_address(request, page[_PAGE - 1].pk) if len(page) > _PAGE else None
        return Response(DeliveriesOut(deliveries_out(page[:_PAGE]), following))


class ResendView(APIView):
    """`/webhook-endpoints/{id}/deliveries/{delivery}/resend`"""

    scopes: Mapping[str, str] = {"POST": "webhooks"}

    @openapi.resending()
    def post(self, request: Request, endpoint_id: UUID, delivery_id: int) -> Response:
        """Send it once more, with the same id."""
        client: Any = request.user
        delivery = replaying.resend(client.merchant_id, endpoint_id, delivery_id, actor=client.actor)
        return Response(deliveries_out([delivery])[0], status=202)


def _refusal(refused: AddressRefused) -> Unacceptable:
    return Unacceptable([FieldError("/url", refused.code, str(refused))])


def _state(request: Request) -> str | None:
    state = request.query_params.get("state")
    known = WebhookDelivery.State.values
    if state is not None and state not in known:
        raise ParameterWrong(f"`state` is one of: {', '.join(known)}.")
    return state


def _before(request: Request) -> int | None:
    if "cursor" not in request.query_params:
        return None
    try:
        return int(signing.loads(request.query_params["cursor"], salt=_CURSOR_SALT))
    except (ValueError, TypeError, signing.BadSignature):
        raise CursorWrong from None


def _page_address(request: Request, last: int) -> str:
    asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{request.path}?{urlencode({**asked, 'cursor': signing.dumps(last, salt=_CURSOR_SALT)})}"
