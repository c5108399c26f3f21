"""What can be wrong with webhooks, and whose fault it is."""


class WebhookError(Exception):
    """A webhook cannot be as asked."""


class AddressRefused(WebhookError):
    """Nothing is sent to this address; `code` names the rule, for machines."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class UnknownEndpoint(WebhookError):
    """There is no such webhook endpoint of this merchant."""


class UnknownDelivery(WebhookError):
    """There is no such delivery to this endpoint."""


class EndpointDisabled(WebhookError):
    """The endpoint is disabled, so nothing is sent there; enable it first."""


class TooManyEndpoints(WebhookError):
    """A merchant has so many webhook endpoints at most; delete one first."""
