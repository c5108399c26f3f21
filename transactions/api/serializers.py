"""The shapes of the API: what a client may post and what it gets back.

msgspec checks types and patterns in one pass; when that fails, every field is looked at on its own, so that
a client learns of all mistakes at once. No message here repeats a value.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from processor.codec.describe import luhn_fits
from transactions.domain.money import MAX_AMOUNT, is_currency
from transactions.domain.values import Operation
from transactions.services import Order

MetadataValue = str | int | bool | None

_MOST_METADATA: Final = 50
_LONGEST_KEY: Final = 64
_LONGEST_METADATA: Final = 500
_LARGEST_INTEGER: Final = 2**53
_PLAIN_NAME: Final = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: 13 to 19 digits, together or in a card's groups, not inside a longer word: a UUID is none
_PAN_SHAPED: Final = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -]?[0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})"
    r"(?![0-9A-Za-z])"
)
_MANY_DIGITS: Final = re.compile(r"[0-9]{8}")


class CardIn(Struct, forbid_unknown_fields=True, frozen=True):
    """A card as the terminal read it."""

    pan: Annotated[
        str, Meta(pattern=r"^[0-9]{12,19}$", description="Card number, digits only.", examples=["4111111111111111"])
    ]
    expiry: Annotated[str, Meta(pattern=r"^[0-9]{4}$", description="Expiry as YYMM.", examples=["3012"])] | None = None
    pin_block: (
        Annotated[
            str,
            Meta(
                pattern=r"^(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{64})$",
                description="Encrypted PIN block in hexadecimal, as the link's dialect carries it: 8 bytes, "
                "or 32 bytes of IV and ciphertext. Asked for by withdrawals and balance inquiries.",
            ),
        ]
        | None
    ) = None


class PaymentIn(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A payment to carry to the bank."""

    operation: Literal[
        "purchase", "withdrawal", "balance_inquiry", "deposit", "transfer", "bill_payment", "authorisation"
    ]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217 letters.", examples=["IDR"])]
    card: CardIn
    amount: Annotated[
        int,
        Meta(ge=0, le=MAX_AMOUNT, description="In minor units; 0 only where no money moves.", examples=[1250000]),
    ] = 0
    source_account: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,28}$")] | None = None
    destination_account: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,28}$")] | None = None
    biller: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,20}$")] | None = None
    customer_number: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,40}$")] | None = None
    terminal_id: (
        Annotated[str, Meta(pattern=r"^[!-~](?:[ -~]{0,14}[!-~])?$", description="Field 41; the link's by default.")]
        | None
    ) = None
    card_acceptor_id: (
        Annotated[str, Meta(pattern=r"^[!-~](?:[ -~]{0,13}[!-~])?$", description="Field 42; the link's by default.")]
        | None
    ) = None
    lane: (
        Annotated[
            str, Meta(min_length=1, max_length=64, description="Payments of one lane are carried strictly one by one.")
        ]
        | None
    ) = None
    priority: Annotated[int, Meta(ge=0, le=9, description="9 goes first.")] = 5
    expires_in: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=2_592_000,
                description="Seconds after which it is not sent any more: 60 where a customer waits, 7 days elsewhere.",
            ),
        ]
        | None
    ) = None
    link: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,50}$")] | None = None
    reference: Annotated[str, Meta(min_length=1, max_length=64, description="Your own name for it.")] | None = None
    metadata: Annotated[
        dict[str, MetadataValue],
        Meta(
            max_length=_MOST_METADATA,
            description=f"Yours; never card data. Keys have up to {_LONGEST_KEY} characters, texts up to "
            f"{_LONGEST_METADATA}, integers reach 2 to the power of 53.",
        ),
    ] = {}

    def order(self) -> Order:
        """Return what the service takes."""
        return Order(
            operation=Operation(self.operation),
            amount_minor=self.amount,
            currency=self.currency,
            pan=self.card.pan,
            expiry=self.card.expiry,
            pin_block=bytes.fromhex(self.card.pin_block) if self.card.pin_block else None,
            source_account=self.source_account,
            destination_account=self.destination_account,
            biller=self.biller,
            customer_number=self.customer_number,
            terminal_id=self.terminal_id,
            card_acceptor_id=self.card_acceptor_id,
            lane=self.lane,
            priority=self.priority,
            expires_in_s=self.expires_in,
            link=self.link,
            reference=self.reference,
            metadata=self.metadata,
        )


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where (RFC 6901 pointer), what, and what to do. Never the value."""

    pointer: str
    code: str
    detail: str


class Unacceptable(Exception):
    """The request is well-formed JSON and not a payment."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("the request does not validate")
        self.errors = errors


def parse_payment(body: Any) -> PaymentIn:
    """Return the payment a body asks for; raises Unacceptable with everything that is wrong with it."""
    try:
        payment = msgspec.convert(body, PaymentIn)
    except msgspec.ValidationError:
        raise Unacceptable(list(_shape_errors(body, PaymentIn, ""))) from None
    if errors := list(_text_errors(body, "")) or list(_meaning_errors(payment)):
        raise Unacceptable(errors)
    return payment


def _shape_errors(body: Any, struct: type[Struct], at: str) -> Iterator[FieldError]:
    """Look at every member by itself."""
    if not isinstance(body, dict):
        yield FieldError(at, "type", "This must be an object.")
        return
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name in sorted(body.keys() - fields.keys()):
        yield FieldError(f"{at}/{_escaped(name)}", "unknown_field", "There is no such field.")
    for name, field in fields.items():
        if name not in body:
            if field.required:
                yield FieldError(f"{at}/{name}", "required", "This field is required.")
        elif field.type is CardIn:
            yield from _shape_errors(body[name], CardIn, f"{at}/{name}")
        elif name == "metadata" and isinstance(body[name], dict) and len(body[name]) <= _MOST_METADATA:
            for key, value in body[name].items():
                yield from _member_error({key: value}, field.type, f"{at}/{name}/{_escaped(key)}")
        else:
            yield from _member_error(body[name], field.type, f"{at}/{name}")


def _member_error(value: Any, kind: Any, at: str) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield FieldError(at, *_named(str(error), kind))


def _named(complaint: str, kind: Any) -> tuple[str, str]:
    """msgspec says the type it expected and, for an enumeration, the value it got: keep what is ours of it."""
    if form := re.search(r"matching regex '(.*?)'(?: - at|$)", complaint):
        return "format", f"This must have the form {form[1]}."
    if bound := re.search(r"of length (<=|>=) ([0-9]+)", complaint):
        return "length", f"This has {_BOUNDS[bound[1]]} {bound[2]} characters or members."
    if bound := re.search(r"(<=|>=) (-?[0-9]+)", complaint):
        return "range", f"This is {_BOUNDS[bound[1]]} {bound[2]}."
    if "enum" in complaint:
        return "choice", f"This is one of: {', '.join(sorted(get_args(kind)))}."
    expected = re.match(r"Expected `([a-z |]+)`", complaint)
    return "type", f"This must be {expected[1].replace(' | ', ' or ')}." if expected else "This is of the wrong type."


_BOUNDS: Final = {"<=": "at most", ">=": "at least"}


def _meaning_errors(payment: PaymentIn) -> Iterator[FieldError]:
    """What types and patterns cannot say."""
    operation = Operation(payment.operation)
    if not is_currency(payment.currency):
        yield FieldError("/currency", "currency", "This is not a currency of ISO 4217.")
    if operation.moves_money and payment.amount == 0:
        yield FieldError("/amount", "range", "The amount must be greater than 0 where money moves.")
    if not luhn_fits(payment.card.pan):
        yield FieldError("/card/pan", "luhn", "The check digit of the card number does not fit.")
    if payment.card.expiry and not "01" <= payment.card.expiry[2:] <= "12":
        yield FieldError("/card/expiry", "expiry_month", "The expiry is YYMM with a month from 01 to 12.")
    for pointer, alternatives in _REQUIRED.get(operation, ()):
        if not any(_has(payment, path) for path in alternatives):
            yield FieldError(pointer, "required", f"A {operation.value.replace('_', ' ')} needs this field.")
    yield from _metadata_errors(payment)


#: operation -> (pointer, fields of which one must be there)
_REQUIRED: Final[Mapping[Operation, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    Operation.WITHDRAWAL: (("/source_account", ("source_account",)), ("/card/pin_block", ("card.pin_block",))),
    Operation.BALANCE_INQUIRY: (("/source_account", ("source_account",)), ("/card/pin_block", ("card.pin_block",))),
    Operation.DEPOSIT: (("/destination_account", ("destination_account", "source_account")),),
    Operation.TRANSFER: (
        ("/source_account", ("source_account",)),
        ("/destination_account", ("destination_account",)),
    ),
    Operation.BILL_PAYMENT: (("/biller", ("biller",)), ("/customer_number", ("customer_number",))),
}


def _has(payment: PaymentIn, path: str) -> bool:
    return bool(attrgetter(path)(payment))


def _metadata_errors(payment: PaymentIn) -> Iterator[FieldError]:
    for key, value in payment.metadata.items():
        at = f"/metadata/{_escaped(key)}"
        if len(key) > _LONGEST_KEY or (isinstance(value, str) and len(value) > _LONGEST_METADATA):
            yield FieldError(
                at, "length", f"Keys have up to {_LONGEST_KEY} characters, values up to {_LONGEST_METADATA}."
            )
        if not isinstance(value, str) and value is not None and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
            yield FieldError(at, "range", "Integers reach 2 to the power of 53; send larger ones as text.")
        if looks_like_card(key) or looks_like_card(str(value)):
            yield FieldError("/metadata", "card_number", "Metadata must not hold card numbers.")


def _text_errors(value: Any, at: str) -> Iterator[FieldError]:
    """No control, bidirectional or invisible characters anywhere."""
    if isinstance(value, str):
        if not value.isprintable() and any(unicodedata.category(char) in _UNSEEN for char in value):
            yield FieldError(at, "characters", "Control and invisible characters are not allowed.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _text_errors(key, at)
            yield from _text_errors(inner, f"{at}/{_escaped(key)}")


def looks_like_card(text: str) -> bool:
    """True when a text holds 13 to 19 digits that check like a card number, spaced or not."""
    return any(luhn_fits(re.sub("[ -]", "", match)) for match in _PAN_SHAPED.findall(text))


def _escaped(name: str) -> str:
    """Return a member's name for a pointer; an odd one is not repeated."""
    if not _PLAIN_NAME.match(name) or _MANY_DIGITS.search(name):
        return "?"
    return name.replace("~", "~0").replace("/", "~1")
