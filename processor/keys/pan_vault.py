"""Sealing: card data, frames and answers rest only encrypted, each bound to its purpose and its row.

Owns AES-256-GCM with keys derived from the master key, one a purpose. A sealed value starts with the id
of its key, so that a master key can be replaced while old values live.
"""

import hashlib
import hmac
import os
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from processor.keys.errors import SealBroken

_NONCE: Final = 12
_KEY_ID: Final = 4


class Purpose(StrEnum):
    """What a sealed value is; one purpose cannot be opened as another."""

    CARD = "card"
    PIN = "pin"
    FRAME = "frame"
    ANSWER = "answer"
    FINGERPRINT = "fingerprint"
    WORKING_KEY = "working-key"
    WEBHOOK = "webhook"


class Vault:
    """Seals and opens under one master key (32 bytes)."""

    def __init__(self, master: bytes) -> None:
        if len(master) != 32:
            raise SealBroken("MASTER_KEY must be 32 bytes, as 64 hexadecimal digits")
        self._master = master
        self.key_id = hashlib.sha256(b"ferryman key id" + master).digest()[:_KEY_ID]
        self._fingerprint_key = self.derived(Purpose.FINGERPRINT)
        self._ciphers = {purpose: AESGCM(self.derived(purpose)) for purpose in Purpose}

    def derived(self, purpose: Purpose) -> bytes:
        """Return the purpose's own key, 32 bytes."""
        return hmac.digest(self._master, b"ferryman " + purpose.encode(), "sha256")

    def seal(self, purpose: Purpose, clear: bytes, bound_to: bytes) -> bytes:
        """Return key id, nonce and ciphertext; opens only with the same purpose and binding."""
        nonce = os.urandom(_NONCE)
        return self.key_id + nonce + self._ciphers[purpose].encrypt(nonce, clear, bound_to)

    def open(self, purpose: Purpose, sealed: bytes, bound_to: bytes) -> bytes:
        """Return the clear bytes; raises SealBroken."""
        if sealed[:_KEY_ID] != self.key_id:
            raise SealBroken("a sealed value belongs to another MASTER_KEY")
        nonce, ciphertext = sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
        try:
            return self._ciphers[purpose].decrypt(nonce, ciphertext, bound_to)
        except InvalidTag:
            raise SealBroken from None

    def fingerprint(self, content: bytes) -> bytes:
        """Return a keyed digest that tells equal contents without telling the content (I2)."""
        return hmac.digest(self._fingerprint_key, content, "sha256")


@lru_cache(maxsize=4)
def vault_of(master_hex: str) -> Vault:
    """Return the vault of a MASTER_KEY as it stands in the environment."""
    try:
        return Vault(bytes.fromhex(master_hex))
    except ValueError:
        raise SealBroken("MASTER_KEY must be 64 hexadecimal digits") from None
