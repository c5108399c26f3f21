"""The queue's statements as functions over rows in memory: each stands for the SQL of the same name.

`tests/integration/test_queue_model.py` holds them against PostgreSQL, verb by verb. Knows no payment.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from processor import statements as link_sql
from queueing import lanes
from queueing import statements as sql
from tests.simulation.tables import Model, Parameters, Row, Tables

_LOCK_BEGINS: Final = sql.LOCK.split("WHERE")[0]
_NOT_TAKEN: Final = ("waiting", "blocked", "ready", "dispatched")
_NEW: Final = {
    "attempt": None,
    "reverses": None,
    "lane": None,
    "not_before": None,
    "expires_at": None,
    "pin": None,
    "frame": None,
    "match_key": None,
    "mti": None,
    "frame_version": None,
    "epoch": None,
    "takes": 0,
    "unsent_tries": 0,
    "suspicions": 0,
    "suspected_at": None,
    "taken_at": None,
    "held_reason": None,
}


def install(tables: Tables) -> None:
    """Let the tables know the queue's statements."""
    tables.statements |= _STATEMENTS
    tables.otherwise.append(_lock)


def enqueue(t: Tables, payment_id: Any, p: Parameters) -> None:
    """ENQUEUE: ready, or blocked behind others of its lane."""
    lane = p["lane_key"]
    if lane is not None:
        t.lanes[lane] = t.lanes.get(lane, 0) + 1
    _insert(
        t,
        payment_id=payment_id,
        link=p["link"],
        kind=p["kind"],
        lane=lane,
        priority=p["priority"],
        state="blocked" if t.lanes.get(lane, 0) > 1 else "ready",
        expires_at=p["send_before"],
        pin=p["pin"],
        request_id=p["request_id"],
    )


def answered(t: Tables, filings: Iterable[Row]) -> set[int]:
    """ANSWER: taken -> answered for what is filed about the attempt on its way."""
    moved = set()
    for filing in filings:
        entry = t.entries.get(filing.entry_id)
        fits = entry and entry.state == "taken" and entry.attempt == filing.attempt
        if entry and fits and (filing.kind == "answer" or entry.epoch == filing.epoch):
            moved.add(entry.id)
    for entry_id in moved:
        t.entries[entry_id] = t.entries[entry_id].changed(state="answered")
    return moved


def _insert(t: Tables, **columns: Any) -> None:
    entry_id = t.next("entry")
    t.entries[entry_id] = Row(id=entry_id, owed_since=t.now(), **{**_NEW, **columns})


def _in_order(entries: Iterable[Row]) -> list[Row]:
    return sorted(entries, key=lambda entry: (-entry.priority, entry.id))


def _where(t: Tables, **columns: Any) -> list[Row]:
    return [e for e in t.entries.values() if all(getattr(e, name) == value for name, value in columns.items())]


def _is_over(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def _ready(t: Tables, entries: Iterable[Row]) -> list[Row]:
    return [entry.changed(is_expired=_is_over(entry.expires_at, t.now())) for entry in entries]


def _claim(t: Tables, p: Parameters) -> Sequence[Row]:
    ready = (e for e in _where(t, state="ready", link=p["link"]) if e.id >= p["low"] and e.priority >= p["lowest"])
    return _ready(t, _in_order(ready)[: p["limit"]])


def _claim_one(t: Tables, p: Parameters) -> Sequence[Row]:
    return _ready(t, _where(t, state="ready", id=p["id"]))


def _suspect(t: Tables, p: Parameters) -> Sequence[Row]:
    next_one = _in_order(e for e in _where(t, state="ready", link=p["link"]) if e.priority >= p["lowest"])[:1]
    marked: list[Row] = []
    for entry in next_one:
        since = entry.suspected_at
        counts = not (entry.suspicions and since and t.now() - p["age"] <= since <= t.now())
        new = {"suspicions": entry.suspicions + counts, "suspected_at": t.now() if counts else since}
        marked += [row.changed(counts=counts) for row in _change(t, [entry], lambda _, new=new: new)]  # type: ignore[misc]
    return marked


def _blame(t: Tables, p: Parameters) -> Sequence[Row]:
    return _change(t, _where(t, state="ready", id=p["id"]), lambda _: {"suspected_at": None})


def _trust(t: Tables, p: Parameters) -> Sequence[Row]:
    marked = [entry for entry in _where(t, state="ready", id=p["id"]) if entry.suspicions > 0]
    return _change(t, marked, lambda entry: {"suspicions": entry.suspicions - 1})


def _ahead(t: Tables, p: Parameters) -> Sequence[Row]:
    return [Row(dispatched=min(p["limit"], len(_where(t, state="dispatched", link=p["link"]))))]


def _dispatch(t: Tables, p: Parameters) -> Sequence[Row]:
    frames = zip(p["ids"], p["attempts"], p["frames"], p["match_keys"], p["mtis"], strict=True)
    changed: list[Row] = []
    for entry_id, attempt, frame, match_key, mti in frames:
        new = {"attempt": attempt, "frame": frame, "match_key": match_key, "mti": mti}
        rest = {"state": "dispatched", "frame_version": p["version"], "not_before": None, "suspicions": 0}
        changed += _change(t, _where(t, state="ready", id=entry_id), lambda _, new=new | rest: new)  # type: ignore[misc]
    return changed


def _take(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if lease.epoch != p["epoch"] or lease.released:
        return []
    now = t.now()
    dispatched = _where(t, state="dispatched", link=p["link"], frame_version=p["version"])
    wanted = [e for e in dispatched if e.id >= p["low"] and e.priority >= p["lowest"]]
    fitting = [e for e in wanted if not _is_over(e.expires_at, now)]
    taken = _change(
        t,
        _in_order(fitting)[: p["limit"]],
        lambda entry: {"state": "taken", "epoch": p["epoch"], "takes": entry.takes + 1, "taken_at": now},
    )
    for entry in taken:
        t.intents[t.next("intent")] = entry.changed(at=t.elapsed())
    return [entry.changed(expires_in_s=_seconds_left(entry)) for entry in taken]


def _seconds_left(entry: Row) -> float | None:
    return None if entry.expires_at is None else (entry.expires_at - entry.taken_at).total_seconds()


def _untake(t: Tables, p: Parameters) -> Sequence[Row]:
    given = [entry for entry in _where(t, state="taken", epoch=p["epoch"]) if entry.id in p["ids"]]
    return _change(
        t,
        given,
        lambda entry: {
            "state": "dispatched",
            "takes": entry.takes - 1,
            "unsent_tries": entry.unsent_tries + p["failed"],
            "taken_at": None,
        },
    )


def _close(t: Tables, p: Parameters) -> Sequence[Row]:
    gone = [entry for entry in t.entries.values() if entry.id in p["ids"] and entry.state in p["states"]]
    for entry in gone:
        del t.entries[entry.id]
    return [Row(id=entry.id, lane=entry.lane, was_head=entry.state != "blocked") for entry in gone]


def _leave(t: Tables, p: Parameters) -> Sequence[Row]:
    for lane, left_by in zip(p["lanes"], p["counts"], strict=True):
        if lane in t.lanes:
            t.lanes[lane] -= left_by
    return []


def _promote(t: Tables, p: Parameters) -> Sequence[Row]:
    heads: list[Row] = []
    for lane in p["lanes"]:
        heads += sorted(_where(t, state="blocked", lane=lane), key=lambda entry: int(entry.id))[:1]
    return _change(t, heads, lambda _: {"state": "ready"})


def _forget_empty(t: Tables, p: Parameters) -> Sequence[Row]:
    for lane in p["lanes"]:
        if t.lanes.get(lane) == 0:
            del t.lanes[lane]
    return []


def _owe(t: Tables, p: Parameters) -> Sequence[Row]:
    owing = dict(zip(p["ids"], p["reverses"], strict=True))
    cleared = dict.fromkeys(("attempt", "expires_at", "pin", "frame", "match_key", "taken_at"))
    reborn = {"state": "ready", "kind": "reversal", "priority": sql.REVERSAL_PRIORITY, "takes": 0, "unsent_tries": 0}
    return _change(
        t,
        [entry for entry in _where(t, state=p["state"]) if entry.id in owing],
        lambda entry: {**cleared, **reborn, "reverses": owing[entry.id], "owed_since": t.now()},
    )


def _hold_beside(t: Tables, p: Parameters) -> Sequence[Row]:
    names = ("payment_id", "link", "kind", "attempt", "priority", "request_id")
    facts = {name: p[name] for name in names}
    _insert(t, **facts, reverses=None, state="held", takes=0, held_reason=p["reason"], expires_at=p["send_before"])
    return []


def _owe_beside(t: Tables, p: Parameters) -> Sequence[Row]:
    names = ("payment_ids", "links", "attempts", "reverses", "takes", "request_ids")
    for payment_id, link, attempt, reverses, takes, request_id in zip(*(p[name] for name in names), strict=True):
        _insert(
            t,
            payment_id=payment_id,
            link=link,
            kind="reversal",
            attempt=attempt,
            reverses=reverses,
            priority=sql.REVERSAL_PRIORITY,
            state="ready",
            takes=takes,
            request_id=request_id,
        )
    return []


def _wait(t: Tables, p: Parameters) -> Sequence[Row]:
    delays = dict(zip(p["ids"], p["delays"], strict=True))
    waiting = [entry for entry in _where(t, state=p["state"]) if entry.id in delays]
    cleared = {"frame": None, "match_key": None, "taken_at": None, "suspicions": 0}

    def later(entry: Row) -> dict[str, Any]:
        delay = delays[entry.id]
        if delay is None:
            return {**cleared, "state": "ready", "not_before": None}
        return {**cleared, "state": "waiting", "not_before": t.now() + min(delay, p["longest"])}

    return _change(t, waiting, later)


def _wake(t: Tables, p: Parameters) -> Sequence[Row]:
    due = [entry for entry in _where(t, state="waiting") if not t.now() < entry.not_before <= t.now() + p["longest"]]
    due.sort(key=lambda entry: (entry.not_before, entry.id))
    return _change(t, due[: p["limit"]], lambda _: {"state": "ready", "not_before": None})


def _owed(t: Tables, p: Parameters) -> Sequence[Row]:
    return sorted(_where(t, payment_id=p["payment_id"]), key=lambda entry: entry.id)


def _hold(t: Tables, p: Parameters) -> Sequence[Row]:
    reasons = dict(zip(p["ids"], p["reasons"], strict=True))
    held = [entry for entry in _where(t, state=p["state"]) if entry.id in reasons]
    return _change(
        t,
        held,
        lambda entry: {"state": "held", "held_reason": reasons[entry.id], "frame": None, "match_key": None},
    )


def _release(t: Tables, p: Parameters) -> Sequence[Row]:
    stopped = [entry for entry in _where(t, id=p["id"]) if entry.state in ("held", "waiting")]
    again = {"state": "ready", "not_before": None, "held_reason": None, "unsent_tries": 0, "suspicions": 0}
    return _change(t, stopped, lambda _: again)


def _lock(statement: str, parameters: Parameters) -> Model | None:
    """LOCK is put together from its condition; its parameters tell which it is."""
    if not statement.startswith(_LOCK_BEGINS):
        return None
    if "payment_id" in parameters:
        return lambda t, p: _by_id(_where(t, payment_id=p["payment_id"]), p)
    if "link" in parameters:
        known, lowest = parameters["version"], parameters["lowest"]
        return lambda t, p: _by_id(
            [
                e
                for e in _where(t, state="dispatched", link=p["link"])
                if known is None or e.frame_version != known or e.priority < lowest
            ],
            p,
        )
    return lambda t, p: _by_id(
        [e for e in t.entries.values() if e.state in _NOT_TAKEN and _is_over(e.expires_at, t.now())], p
    )


def _by_id(entries: list[Row], p: Parameters) -> Sequence[Row]:
    return sorted(entries, key=lambda entry: int(entry.id))[: p["limit"]]


def _change(t: Tables, entries: Iterable[Row], changes: Callable[[Row], dict[str, Any]]) -> list[Row]:
    changed = [entry.changed(**changes(entry)) for entry in entries]
    t.entries |= {entry.id: entry for entry in changed}
    return changed


_STATEMENTS: Final[dict[str, Model]] = {
    sql.CLAIM: _claim,
    sql.CLAIM_ONE: _claim_one,
    sql.SUSPECT: _suspect,
    sql.BLAME: _blame,
    sql.TRUST: _trust,
    sql.AHEAD: _ahead,
    sql.DISPATCH: _dispatch,
    link_sql.TAKE: _take,
    sql.UNTAKE: _untake,
    sql.OWED: _owed,
    sql.CLOSE: _close,
    lanes._LEAVE: _leave,
    lanes._PROMOTE: _promote,
    lanes._FORGET_EMPTY: _forget_empty,
    sql.OWE: _owe,
    sql.OWE_BESIDE: _owe_beside,
    sql.HOLD_BESIDE: _hold_beside,
    sql.WAIT: _wait,
    sql.WAKE: _wake,
    sql.HOLD: _hold,
    sql.RELEASE: _release,
}
