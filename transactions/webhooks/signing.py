"""Signing secrets of endpoints: made, sealed, replaced with an overlap, and signed with (Standard Webhooks)."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from standardwebhooks import Webhook

from transactions.sealing import open_webhook_secret

_BYTES: Final = 32


def new_secret() -> str:
    """Return a fresh secret as its owner is shown it, once."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def secrets_of(endpoint: Any, at: datetime) -> list[str]:
    """Return what to sign with for an endpoint's row: its secret, and the one before while that is good."""
    sealed = [endpoint.secret]
    if endpoint.previous_secret and endpoint.previous_until > at:
        sealed.append(endpoint.previous_secret)
    return [open_webhook_secret(bytes(one), endpoint.endpoint_id) for one in sealed]


def webhook_id(message_id: UUID) -> str:
    """Return the id by which a receiver knows a message again, however often it comes."""
    return f"msg_{message_id.hex}"


def headers(message_id: UUID, body: str, signing: list[str], at: datetime) -> Mapping[str, str]:
    """Return the headers that say what this is, when it was sent, and prove both."""
    name = webhook_id(message_id)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(name, at, body) for secret in signing),
    }
