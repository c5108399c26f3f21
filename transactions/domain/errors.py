"""What the rules of a payment refuse. Messages say why; the doors add what it means: nothing was changed."""


class DomainError(Exception):
    """The rules of a payment do not allow this."""

    code = "not_allowed"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class NotAllowed(DomainError):
    """The payment's state does not allow this action."""


class UnknownPayment(DomainError):
    """There is no such payment."""

    code = "unknown_payment"


class UnknownEvent(DomainError):
    """An event is of a type or version that this code cannot read: it was written by newer code."""

    code = "unknown_event"


class ImpossibleEvent(DomainError):
    """An event does not fit the state it is applied to: the payment's history is damaged."""

    code = "impossible_event"
