"""Secrets at rest: what is sealed, and bound to which payment, link or webhook endpoint."""

from uuid import UUID

import msgspec
from django.conf import settings

from processor.keys.pan_vault import Purpose, Vault, vault_of
from transactions.iso8583 import Card


def vault() -> Vault:
    """Return the vault of this installation's MASTER_KEY."""
    return vault_of(settings.MASTER_KEY)


def seal_card(card: Card, payment_id: UUID) -> bytes:
    """Return a card sealed for one payment."""
    return vault().seal(Purpose.CARD, msgspec.json.encode(card), payment_id.bytes)


def open_card(sealed: bytes, payment_id: UUID) -> Card:
    """Return the card of a payment; raises SealBroken."""
    return msgspec.json.decode(vault().open(Purpose.CARD, sealed, payment_id.bytes), type=Card)


def seal_pin(pin_block: bytes, payment_id: UUID) -> bytes:
    """Return a PIN block sealed for one payment; it lives in the queue entry and goes with it (S2)."""
    return vault().seal(Purpose.PIN, pin_block, payment_id.bytes)


def open_pin(sealed: bytes, payment_id: UUID) -> bytes:
    """Return the PIN block of a payment; raises SealBroken."""
    return vault().open(Purpose.PIN, sealed, payment_id.bytes)


def seal_frame(body: bytes, payment_id: UUID) -> bytes:
    """Return a message's body sealed for one payment."""
    return vault().seal(Purpose.FRAME, body, payment_id.bytes)


def open_frame(sealed: bytes, payment_id: UUID) -> bytes:
    """Return a message's body; raises SealBroken."""
    return vault().open(Purpose.FRAME, sealed, payment_id.bytes)


def seal_answer(body: bytes, link: str) -> bytes:
    """Return what came over a link sealed as its holder files it."""
    return vault().seal(Purpose.ANSWER, body, link.encode())


def open_answer(sealed: bytes, link: str) -> bytes:
    """Return what the holder of a link filed; raises SealBroken."""
    return vault().open(Purpose.ANSWER, sealed, link.encode())


def seal_webhook_secret(secret: str, endpoint_id: UUID) -> bytes:
    """Return an endpoint's signing secret (`whsec_…`) sealed for it."""
    return vault().seal(Purpose.WEBHOOK, secret.encode(), endpoint_id.bytes)


def open_webhook_secret(sealed: bytes, endpoint_id: UUID) -> str:
    """Return an endpoint's signing secret; raises SealBroken."""
    return vault().open(Purpose.WEBHOOK, sealed, endpoint_id.bytes).decode()
