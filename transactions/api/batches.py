"""Many payments in one request: each has a key of its own, and a result of its own in the same place."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from transactions.api.checking import Unacceptable, parse
from transactions.api.problems import IdempotencyKeyWrong, Problem
from transactions.api.serializers import PaymentIn, parse_payment
from transactions.batching import Item
from transactions.showing import PaymentOut

_MOST: Final = 1000
_LONGEST_KEY: Final = 255


class BatchItemIn(Struct, forbid_unknown_fields=True, frozen=True):
    """A payment and the key it comes under."""

    idempotency_key: Annotated[
        str,
        Meta(pattern=r"^[ -+\--~]{1,255}$", description="Yours, one for each payment, as a header elsewhere."),
    ]
    payment: PaymentIn


class BatchIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Payments to carry to the bank, in their order."""

    payments: Annotated[list[BatchItemIn], Meta(min_length=1, max_length=_MOST)]


class BatchResultOut(Struct, frozen=True, kw_only=True):
    """What came of one payment of a batch: as if it had been posted alone."""

    status: Annotated[int, Meta(description="202 or 200 with the payment; any other with the problem.")]
    replayed: Annotated[bool, Meta(description="True where its key had been used before: the first payment.")] = False
    retry_after: Annotated[int | None, Meta(description="Seconds after which to repeat it with the same key.")] = None
    payment: PaymentOut | None = None
    problem: Annotated[Problem | None, Meta(description="Its pointers are into the payment.")] = None


class BatchOut(Struct, frozen=True):
    """What came of each payment, in the order in which they were posted."""

    items: list[BatchResultOut]


class _AnyItems(Struct, forbid_unknown_fields=True, frozen=True):
    payments: Annotated[list[Any], Meta(min_length=1, max_length=_MOST)]


class _AnyPayment(Struct, forbid_unknown_fields=True, frozen=True):
    payment: Any
    idempotency_key: Any = None


def is_key(key: Any) -> bool:
    """True for 1 to 255 printable ASCII characters without a comma: a header sent twice arrives joined by one."""
    fits = isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY
    return fits and key.isascii() and key.isprintable() and "," not in key


def parse_batch(body: Any) -> list[Item | Exception]:
    """Return each item, or what is wrong with it; raises Unacceptable when the body is no list of any."""
    return [_parsed(item) for item in parse(body, _AnyItems).payments]


def _parsed(item: Any) -> Item | Exception:
    try:
        shape = parse(item, _AnyPayment)
        if not is_key(shape.idempotency_key):
            return IdempotencyKeyWrong()
        return Item(shape.idempotency_key, parse_payment(shape.payment).order())
    except Unacceptable as error:
        return error
