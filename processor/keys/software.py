"""Working keys in software: derivation, MAC, PIN block, check values and wrapping.

Owns the cryptography that a bank's specification asks for, on top of `cryptography`. Pure but for the
randomness of an IV. Figures and vectors: WIRE facts of `bank-ascii87`.
"""

import hashlib
import hmac
import os
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import cmac, hashes, keywrap, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from processor.keys.errors import KeyProblem, PinBlockRefused

TERMINAL_KEY_BYTES: Final = 32
_ITERATIONS: Final = 100_000
_DERIVED_BYTES: Final = 16
_BLOCK: Final = 16
_SHORTEST_MAC: Final = 16


@lru_cache(maxsize=64)
def derive(terminal_key: bytes, context: str) -> bytes:
    """Return the operational key of a context ("TPK:{bank uuid}:PIN"); slow on purpose, so kept."""
    kdf = PBKDF2HMAC(hashes.SHA256(), _DERIVED_BYTES, context.encode("ascii"), _ITERATIONS)
    return kdf.derive(terminal_key.hex().upper().encode("ascii"))


def pin_context(bank_uuid: str) -> str:
    """Return the context of the key that encrypts PIN blocks."""
    return f"TPK:{bank_uuid}:PIN"


def mac_context(bank_uuid: str) -> str:
    """Return the context of the key that signs messages."""
    return f"TSK:{bank_uuid}:MAC"


def terminal_check_value(terminal_key: bytes) -> str:
    """Return a terminal key's check value: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(terminal_key).hexdigest()[:16].upper()


def mac(key: bytes, message: bytes) -> str:
    """Return the AES-CMAC of a packed body, as 32 hex digits."""
    signer = cmac.CMAC(algorithms.AES(key))
    signer.update(message)
    return signer.finalize().hex().upper()


def mac_matches(key: bytes, message: bytes, claimed: str) -> bool:
    """Compare in constant time; a dialect may carry the first half of a MAC only, never less."""
    signed = mac(key, message)[: len(claimed)]
    return len(claimed) >= _SHORTEST_MAC and hmac.compare_digest(signed.encode(), claimed.encode())


def iso0_pin_block(pin: str, pan: str) -> bytes:
    """Return the ISO 9564 format 0 block: 8 bytes, PIN field XOR account field."""
    pin_field = f"0{len(pin):X}{pin}".ljust(16, "F")
    account_field = "0000" + pan[-13:-1]
    return (int(pin_field, 16) ^ int(account_field, 16)).to_bytes(8, "big")


def encrypt_pin_block(key: bytes, block: bytes, iv: bytes | None = None) -> bytes:
    """Return what field 123 carries: IV and AES-128-CBC of the padded block, 32 bytes."""
    iv = iv or os.urandom(_BLOCK)
    padder = padding.PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padder.update(block) + padder.finalize()) + encryptor.finalize()


def decrypt_pin_block(key: bytes, carried: bytes) -> bytes:
    """Return the clear block; raises PinBlockRefused when key or padding do not fit."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(carried[:_BLOCK])).decryptor()
    unpadder = padding.PKCS7(_BLOCK * 8).unpadder()
    try:
        padded = decryptor.update(carried[_BLOCK:]) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise PinBlockRefused from None


def wrap(master: bytes, key: bytes) -> bytes:
    """Return a working key wrapped by the master key (RFC 3394)."""
    return keywrap.aes_key_wrap(master, key)


def unwrap(master: bytes, wrapped: bytes) -> bytes:
    """Return a working key; raises KeyProblem under another master key."""
    try:
        return keywrap.aes_key_unwrap(master, wrapped)
    except keywrap.InvalidUnwrap:
        raise KeyProblem("a working key was wrapped by another MASTER_KEY") from None
