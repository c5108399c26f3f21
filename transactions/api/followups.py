"""What a client may post to a payment's captures, refunds and voids."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct

from transactions.api.checking import Unacceptable, metadata_errors, parse
from transactions.api.serializers import Lane, Metadata, Priority, Reference, Seconds
from transactions.domain.money import MAX_AMOUNT
from transactions.domain.values import Operation
from transactions.following import FollowUp

_Amount = Annotated[
    int, Meta(ge=1, le=MAX_AMOUNT, description="In minor units; all that is left where it is not said.", examples=[250])
]


class VoidIn(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A payment to be undone as a whole."""

    lane: Lane | None = None
    priority: Priority = 5
    reference: Reference | None = None
    metadata: Metadata = {}

    def order(self, operation: Operation, original: UUID) -> FollowUp:
        """Return what the service takes."""
        return FollowUp(
            operation=operation,
            original=original,
            amount_minor=getattr(self, "amount", None),
            lane=self.lane,
            priority=self.priority,
            expires_in_s=getattr(self, "expires_in", None),
            reference=self.reference,
            metadata=self.metadata,
        )


class CaptureIn(VoidIn, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An authorised amount to be taken, or a part of it."""

    amount: _Amount | None = None


class RefundIn(CaptureIn, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What was paid to be given back, or a part of it."""

    expires_in: Seconds | None = None


FOLLOW_UPS: Final[Mapping[Operation, type[VoidIn]]] = {
    Operation.CAPTURE: CaptureIn,
    Operation.REFUND: RefundIn,
    Operation.VOID: VoidIn,
}


def parse_follow_up(body: Any, operation: Operation) -> VoidIn:
    """Return the child that a body asks for; raises Unacceptable with everything that is wrong with it."""
    asked = parse(body, FOLLOW_UPS[operation])
    if errors := list(metadata_errors(asked.metadata)):
        raise Unacceptable(errors)
    return asked
