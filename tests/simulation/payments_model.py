"""The payments' statements as functions over rows in memory: the event store, what was filed, what recovery reads."""

import json
import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from tests.simulation.queue_model import enqueue
from tests.simulation.tables import Model, Parameters, Row, Tables
from transactions import (
    ending,
    filed,
    following,
    forwarding,
    journal,
    missing,
    recovery,
    selectors,
    settling,
    store,
    strays,
)
from transactions.webhooks import deliveries, forgetting

#: the highest STAN; a seed may begin just below it (M10)
HIGHEST_STAN: Final = 999_999
SEQUENCE: Final = "processor_stan_1"
_TIMES: Final = ("transmitted_at", "taken_at", "answered_at")
_UNSET: Final = (
    "reason response_code authorisation_code accepted_attempt rrn host_rrn voided_by balances ended_at"
).split()


class StanTaken(Exception):
    """M10: the unique index on the STANs of open attempts refuses the row."""


def install(tables: Tables) -> None:
    """Let the tables know the payments' statements."""
    tables.statements |= _STATEMENTS


def _accept(t: Tables, p: Parameters) -> Sequence[Row]:
    key = (p["merchant_id"], p["idempotency_key"])
    if key in t.keys:
        return []
    given = {name: p[name] for name in _PAYMENT_COLUMNS if name in p}
    fresh = {
        "original": _read(p["original"]),
        "metadata": _read(p["metadata"]),
        "status": "queued",
        "version": 1,
        "created_at": p["at"],
        "updated_at": p["at"],
        "captured_amount": 0,
        "refunded_amount": 0,
    }
    t.keys[key] = p["id"]
    t.payments[p["id"]] = Row(**{**dict.fromkeys(_UNSET), **given, **fresh})
    event = {"type": "Accepted", "data": _read(p["event"]), "actor": p["actor"], "at": p["at"], "hash": p["head"]}
    t.events[p["id"], 1] = Row(payment_id=p["id"], version=1, **event)
    enqueue(t, p["id"], p)
    return [Row(id=p["id"])]


def _append(t: Tables, p: Parameters) -> Sequence[Row]:
    won: set[uuid.UUID] = set()
    for change in json.loads(p["payments"]):
        payment_id, expected = uuid.UUID(change.pop("id")), change.pop("expected")
        row = t.payments[payment_id]
        if row.version != expected:
            continue
        ended_at = row.ended_at or change.pop("ended_at")
        change |= {"head": _bytes(change["head"]), "updated_at": _time(change.pop("at")), "ended_at": ended_at}
        change["voided_by"] = uuid.UUID(change["voided_by"]) if change["voided_by"] else None
        t.payments[payment_id] = row.changed(**change)
        won.add(payment_id)
    for event in json.loads(p["events"]):
        payment_id = uuid.UUID(event["payment_id"])
        if payment_id in won:
            event |= {"payment_id": payment_id, "hash": _bytes(event["hash"]), "at": _time(event["at"])}
            t.events[payment_id, event["version"]] = Row(**event)
    for attempt in json.loads(p["attempts"]):
        if uuid.UUID(attempt["payment_id"]) in won:
            _put_attempt(t, attempt)
    return [Row(id=payment_id) for payment_id in sorted(won)]


def _put_attempt(t: Tables, attempt: dict[str, Any]) -> None:
    key = uuid.UUID(attempt.pop("payment_id")), attempt["number"]
    for name in _TIMES:
        if attempt.get(name):
            attempt[name] = _time(attempt[name])
    attempt["business_date"] = date.fromisoformat(attempt["business_date"])
    known = t.attempts.get(key)
    if known:
        new = {name: attempt.get(name) for name in store._ATTEMPT_CHANGING}
        row = known.changed(**{name: value for name, value in new.items() if value is not None})
    else:
        row = Row(**{**dict.fromkeys(store._ATTEMPT_NAMES), **attempt, "payment_id": key[0]})
    if _is_open(row) and any(
        other.stan == row.stan and _is_open(other) and number != key for number, other in t.attempts.items()
    ):
        raise StanTaken(f"STAN {row.stan} is in two open attempts")
    t.attempts[key] = row


def _is_open(attempt: Row) -> bool:
    return "open" in (attempt.outcome, attempt.undoing)


def _payments(t: Tables, p: Parameters) -> Sequence[Row]:
    found = [t.payments[payment_id] for payment_id in sorted(set(p["ids"])) if payment_id in t.payments]
    return [row.changed(is_told=False) for row in found]


def _attempts(t: Tables, p: Parameters) -> Sequence[Row]:
    wanted = set(p["ids"])
    return [t.attempts[key] for key in sorted(t.attempts) if key[0] in wanted]


def _by_key(t: Tables, p: Parameters) -> Sequence[Row]:
    payment_id = t.keys.get((p["merchant_id"], p["idempotency_key"]))
    return [t.payments[payment_id]] if payment_id else []


def _reserved(t: Tables, p: Parameters) -> Sequence[Row]:
    sums: dict[tuple[str, str], int] = {}
    for row in t.payments.values():
        if row.original and row.original["payment_id"] in p["ids"] and row.ended_at is None:
            of = row.original["payment_id"], row.operation
            sums[of] = sums.get(of, 0) + row.amount
    return [
        Row(id=uuid.UUID(original), operation=operation, amount=amount)
        for (original, operation), amount in sums.items()
    ]


def _claim_filed(t: Tables, p: Parameters) -> Sequence[Row]:
    passed_over = set(p["passed_over"])
    frames = [t.inbound[key] for key in sorted(t.inbound)]
    return [_with_entry(t, f) for f in frames if not f.failed and f.id not in passed_over][: p["limit"]]


def _with_entry(t: Tables, frame: Row) -> Row:
    entry = t.entries.get(frame.entry_id)
    if entry is None:
        return frame.changed(decides=False, frame=None, taken_at=None, taken_epoch=None)
    decides = entry.state == "answered" and entry.attempt == frame.attempt and frame.kind != "stray"
    return frame.changed(decides=decides, frame=entry.frame, taken_at=entry.taken_at, taken_epoch=entry.epoch)


def _done(t: Tables, p: Parameters) -> Sequence[Row]:
    for frame_id in p["ids"]:
        t.inbound.pop(frame_id, None)
    return []


def _set_aside(t: Tables, p: Parameters) -> Sequence[Row]:
    for frame_id in p["ids"]:
        t.inbound[frame_id] = t.inbound[frame_id].changed(failed=p["why"])
    return []


def _candidates(t: Tables, p: Parameters) -> Sequence[Row]:
    fitting = [a for a in t.attempts.values() if a.link == p["link"] and a.stan == p["stan"]]
    return sorted(fitting, key=lambda attempt: attempt.transmitted_at, reverse=True)


def _draw_stans(t: Tables, p: Parameters) -> Sequence[Row]:
    drawn = [t.next(SEQUENCE, HIGHEST_STAN) for _ in range(p["count"])]
    used = {a.stan for a in t.attempts.values() if _is_open(a) or a.transmitted_at == p["at"]}
    return [Row(stan=stan) for stan in drawn if stan not in used]


def _unfinished(t: Tables, p: Parameters) -> Sequence[Row]:
    states = {entry.state for entry in t.entries.values()}
    unsettled = any(not frame.failed for frame in t.inbound.values())
    ready, dispatched = (["bank"] if state in states else [] for state in ("ready", "dispatched"))
    return [Row(unsettled=unsettled, undelivered=False, ready=ready, dispatched=dispatched)]


def _open_payments(t: Tables, p: Parameters) -> Sequence[Row]:
    owed = {entry.payment_id for entry in t.entries.values()}
    found = sorted(row.id for row in t.payments.values() if row.ended_at is None and row.id > p["after"])
    return [Row(id=i, is_missing=i not in owed) for i in found[: p["limit"]]]


def _undone_by_nobody(t: Tables, p: Parameters) -> Sequence[Row]:
    owed = {(entry.payment_id, entry.reverses) for entry in t.entries.values() if entry.kind == "reversal"}
    undone = [row for row in t.attempts.values() if row.undoing == "open" and (row.payment_id, row.number) not in owed]
    return [Row(payment_id=row.payment_id, number=row.number) for row in undone]


def _nothing(t: Tables, p: Parameters) -> Sequence[Row]:
    """The journal's rows and the ping to waiting clients decide nothing; no merchant here has a webhook endpoint."""
    return []


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


_PAYMENT_COLUMNS: Final = frozenset(
    store._PAYMENTS.split("FROM")[0].replace("SELECT", "").replace(",", " ").split()
) | {"card_last4"}

_STATEMENTS: Final[dict[str, Model]] = {
    store._ACCEPT: _accept,
    store._APPEND: _append,
    store._PAYMENTS: _payments,
    store._ATTEMPTS: _attempts,
    selectors._BY_KEY: _by_key,
    following._RESERVED: _reserved,
    filed._CLAIM: _claim_filed,
    settling._DONE: _done,
    settling._SET_ASIDE: _set_aside,
    strays._CANDIDATES: _candidates,
    forwarding._DRAW_STANS.format(sequence=SEQUENCE): _draw_stans,
    recovery._UNFINISHED: _unfinished,
    missing._OPEN: _open_payments,
    missing._UNDONE_BY_NOBODY: _undone_by_nobody,
    journal._INSERT: _nothing,
    ending._NOTIFY: _nothing,
    deliveries._GIVE_UP: _nothing,
    deliveries._OVER: _nothing,
    forgetting._FORGET: _nothing,
}
