"""Asks the host of a link for its totals of a business date (0500, 0510), and says what came of it.

Owns signing and checking the MAC where the dialect asks for one. What balances is `link.reconciliation`'s to say; whose
totals they are is not known here.
"""

import asyncio
from enum import StrEnum
from typing import Any, Final

import msgspec
from django.db import connection

from processor.answering import Answer, done, failed, shown
from processor.codec.message import Message, decode
from processor.keys.errors import KeyProblem
from processor.keys.signing import mac_fits, signed
from processor.keys.store import LinkKeys, keys_of
from processor.link.console import CommandState
from processor.link.events import Moment
from processor.link.profile import Profile
from processor.link.reconciliation import (
    PURPOSE,
    HostTotals,
    Outcome,
    Reconciliation,
    read_answer,
    reconciliation_request,
)
from processor.links import LinkConfig
from processor.session import Session
from processor.store import insist

NO_KEYS: Final = LinkKeys(None, ())


class Hindrance(StrEnum):
    """Why nothing was compared, where the host is not the one that says so."""

    NO_WORD = "no_word"
    NO_KEY = "no_key"
    LINK_LOST = "link_lost"
    NO_ANSWER = "no_answer"
    WRONG_MAC = "wrong_mac"


async def reconcile(session: Session | None, config: LinkConfig, asked: Reconciliation) -> Answer:
    """Send our totals, and return what the host says of them: `detail` has its outcome and its totals."""
    dialect = config.dialect
    if PURPOSE not in dialect.mti:
        sentence = f"The dialect {dialect.name} has no message for totals. Nothing was sent."
        return Answer(CommandState.REFUSED, sentence, {"outcome": Hindrance.NO_WORD.value})
    try:
        keys = await _keys(config)
    except KeyProblem:
        sentence = "The link has no MAC key, and totals must be signed. Nothing was sent."
        return Answer(CommandState.REFUSED, sentence, {"outcome": Hindrance.NO_KEY.value})

    def make(_purpose: str, stan: int, now: Moment, profile: Profile) -> Message:
        request = reconciliation_request(asked, stan, now, profile)
        return signed(request, dialect, keys.sign_with) if keys.sign_with else request

    talk = session and await session.ask(PURPOSE, make)
    if not talk:
        return failed("The link went down before anything was sent.", outcome=Hindrance.LINK_LOST.value)
    sent, reply = talk
    detail: dict[str, Any] = {"sent": shown(sent, dialect)}
    if reply.body is None:
        sentence = "The host did not answer. No payment is touched by it; ask again."
        return failed(sentence, **detail, outcome=Hindrance.NO_ANSWER.value)
    detail |= {"received": shown(reply.body, dialect), "ms": round(reply.elapsed_s * 1000, 1)}
    answer = decode(reply.body, dialect)
    if keys is not NO_KEYS and not mac_fits(answer, dialect, keys.check_with):
        sentence = "The host's answer carries no MAC of ours, so nothing it says counts."
        return failed(sentence, **detail, outcome=Hindrance.WRONG_MAC.value)
    return _said(read_answer(answer, asked, dialect), detail)


def _said(told: HostTotals, detail: dict[str, Any]) -> Answer:
    detail |= {
        "outcome": told.outcome.value,
        "code": told.code,
        "settlement_code": told.settlement_code,
        "totals": told.totals and msgspec.to_builtins(told.totals),
    }
    match told.outcome:
        case Outcome.IN_BALANCE:
            return done("In balance: the host counts as we do.", **detail)
        case Outcome.OUT_OF_BALANCE:
            return done("Out of balance: the host does not count as we do. The settlement shows how.", **detail)
        case Outcome.NOT_COMPARED:
            return failed(f"The host compared nothing; it answered with code {told.code or 'none'}.", **detail)
        case Outcome.UNREADABLE:
            return failed("The host's answer says neither that it balances nor that it does not.", **detail)


async def _keys(config: LinkConfig) -> LinkKeys:
    """Return the keys that totals are signed and checked with; NO_KEYS where the dialect signs none."""
    if PURPOSE not in config.dialect.mac_on:
        return NO_KEYS
    found: LinkKeys = await insist(config.name, lambda: asyncio.to_thread(_read, config))
    if found.sign_with is None:
        raise KeyProblem
    return found


def _read(config: LinkConfig) -> LinkKeys:
    """Django's connections belong to threads: this one is not left to a thread that nobody knows."""
    try:
        return keys_of(config)
    finally:
        connection.close()
