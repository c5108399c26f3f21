"""The shapes of the API: what a client may post. What is wrong with a body is said in `checking`."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from staff.masking import luhn_fits
from transactions.accepting import Order
from transactions.api.checking import (
    LONGEST_METADATA,
    LONGEST_METADATA_KEY,
    MOST_METADATA,
    FieldError,
    MetadataValue,
    Unacceptable,
    metadata_errors,
    parse,
)
from transactions.domain.money import MAX_AMOUNT, is_currency
from transactions.domain.values import Operation

Lane = Annotated[
    str, Meta(min_length=1, max_length=64, description="Payments of one lane are carried strictly one by one.")
]
Priority = Annotated[int, Meta(ge=0, le=9, description="9 goes first.")]
Seconds = Annotated[
    int,
    Meta(
        ge=1,
        le=2_592_000,
        description="Seconds after which it is not sent any more: 60 where a customer waits, 7 days elsewhere.",
    ),
]
Reference = Annotated[str, Meta(min_length=1, max_length=64, description="Your own name for it.")]
Metadata = Annotated[
    dict[str, MetadataValue],
    Meta(
        max_length=MOST_METADATA,
        description=f"Yours; never card data. Keys have up to {LONGEST_METADATA_KEY} characters, texts up to "
        f"{LONGEST_METADATA}, integers reach 2 to the power of 53.",
    ),
]


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
    lane: Lane | None = None
    priority: Priority = 5
    expires_in: Seconds | None = None
    link: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,50}$")] | None = None
    reference: Reference | None = None
    metadata: Metadata = {}

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


def parse_payment(body: Any) -> PaymentIn:
    """Return the payment a body asks for; raises Unacceptable with everything that is wrong with it."""
    payment = parse(body, PaymentIn)
    if errors := list(_meaning_errors(payment)):
        raise Unacceptable(errors)
    return payment


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
    yield from metadata_errors(payment.metadata)


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
