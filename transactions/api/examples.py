"""The examples of the API's document: each works as it stands, against the simulator."""

from collections.abc import Mapping
from typing import Any, Final

from transactions.domain.values import Operation

_CARD: Final = {"pan": "4111111111111111", "expiry": "3012"}
#: PIN 1234 of that card, under the published test key that the simulator knows
_PIN_BLOCK: Final = "4AD5A9AB1F88975DC7F0CC1CA03FA5A9265F18718C610057B10E11906D0EC2C6"

EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "purchase": {
        "operation": "purchase",
        "amount": 1250000,
        "currency": "IDR",
        "card": _CARD,
        "reference": "order-1001",
    },
    "withdrawal": {
        "operation": "withdrawal",
        "amount": 50000000,
        "currency": "IDR",
        "card": {**_CARD, "pin_block": _PIN_BLOCK},
        "source_account": "1234567890",
    },
    "balance inquiry": {
        "operation": "balance_inquiry",
        "currency": "IDR",
        "card": {**_CARD, "pin_block": _PIN_BLOCK},
        "source_account": "1234567890",
    },
    "transfer, one at a time": {
        "operation": "transfer",
        "amount": 10000000,
        "currency": "IDR",
        "card": _CARD,
        "source_account": "1234567890",
        "destination_account": "9876543210",
        "lane": "1234567890",
    },
    "authorisation, to be captured": {
        "operation": "authorisation",
        "amount": 30000000,
        "currency": "IDR",
        "card": _CARD,
        "reference": "room-212",
    },
    "bill payment": {
        "operation": "bill_payment",
        "amount": 23450000,
        "currency": "IDR",
        "card": _CARD,
        "source_account": "1234567890",
        "biller": "PLN",
        "customer_number": "532100012345",
        "priority": 3,
        "metadata": {"branch": "Menteng"},
    },
}

#: operation -> name -> body; each is good for a payment of its own
FOLLOW_UP_EXAMPLES: Final[Mapping[Operation, Mapping[str, Mapping[str, Any]]]] = {
    Operation.CAPTURE: {
        "all of it": {},
        "a part of it": {"amount": 20000000, "reference": "room-212, two nights"},
    },
    Operation.REFUND: {
        "all of it": {},
        "a part of it": {"amount": 250000, "reference": "order-1001, one item", "expires_in": 86400},
    },
    Operation.VOID: {"as a whole": {}},
}

BATCH_EXAMPLE: Final[Mapping[str, Any]] = {
    "payments": [
        {"idempotency_key": "payroll-2026-11-0001", "payment": {**EXAMPLES["transfer, one at a time"]}},
        {"idempotency_key": "payroll-2026-11-0002", "payment": {**EXAMPLES["bill payment"]}},
    ]
}
