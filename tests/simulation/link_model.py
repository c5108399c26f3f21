"""The holder's statements as functions over rows in memory: lease, filing, status; and the link as configured."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from processor import links, routing
from processor import statements as sql
from tests.simulation.payments_model import HIGHEST_STAN, SEQUENCE
from tests.simulation.queue_model import answered
from tests.simulation.tables import Model, Parameters, Row, Tables


def install(tables: Tables) -> None:
    """Let the tables know the holder's statements, and found a link called bank."""
    tables.statements |= _STATEMENTS
    tables.one["link"] = Row(
        id=1,
        name="bank",
        version=1,
        dialect_name="bank-ascii87",
        framing="ascii4",
        terminal_id="ATM-001",
        card_acceptor_id="TRM-ISS001",
        time_zone_name="Asia/Jakarta",
        bank_uuid="",
        window=4,
        answer_timeout_s=5.0,
        echo_interval_s=10.0,
        echo_timeout_s=3.0,
        sign_on_timeout_s=10.0,
        failback_s=5.0,
        store_and_forward=True,
        breaker_failures=5,
        breaker_rate=50,
        breaker_volume=20,
        breaker_window_s=60.0,
        breaker_open_s=15.0,
        breaker_successes=2,
        health_process_s=10.0,
        health_network_s=5.0,
        health_protocol_s=30.0,
        health_resources_s=15.0,
        endpoints=["10.0.0.1 7000"],
    )
    tables.one["lease"] = Row(
        link="bank", epoch=0, holder="", renewals=0, released=True, renewed_at=tables.now() - timedelta(days=1),
        wanted="open", wanted_endpoint="", wishes=0,
    )  # fmt: skip
    tables.one["status"] = Row(
        link="bank", epoch=0, version=0, up=False, state="closed", cause="", since=None, endpoint="", last_cut_over="",
        breaker="closed", breaker_since=None, down_since=None,
        business_date=tables.now().date(), business_date_told_at=None,
    )  # fmt: skip


def _file(t: Tables, p: Parameters) -> Sequence[Row]:
    names = ("entry_ids", "payment_ids", "attempts", "kinds", "causes", "times", "bodies", "dialects")
    filings = [
        Row(
            entry_id=entry_id,
            payment_id=payment_id,
            attempt=attempt,
            kind=kind,
            cause=cause,
            received_at=received_at,
            body=body,
            dialect=dialect,
            epoch=p["epoch"],
        )
        for entry_id, payment_id, attempt, kind, cause, received_at, body, dialect in zip(
            *(p[name] for name in names), strict=True
        )
    ]
    moved = answered(t, filings)
    for filing in filings:
        decides = filing.entry_id in moved
        if filing.kind != "silence" or decides:
            kind = "stray" if filing.kind == "answer" and not decides else filing.kind
            _insert(t, filing.changed(link=p["link"], kind=kind))
    return filings


def _insert(t: Tables, frame: Row) -> None:
    frame_id = t.next("inbound")
    t.inbound[frame_id] = frame.changed(id=frame_id, failed="")


def _file_orphans(t: Tables, p: Parameters) -> Sequence[Row]:
    known = set(p["known"])
    taken = [e for e in t.entries.values() if e.state == "taken" and e.epoch <= p["epoch"] and e.id not in known]
    for entry in sorted(taken, key=lambda entry: int(entry.id)):
        t.entries[entry.id] = entry.changed(state="answered")
        _insert(
            t,
            Row(
                link=p["link"],
                epoch=entry.epoch,
                kind="silence",
                entry_id=entry.id,
                payment_id=entry.payment_id,
                attempt=entry.attempt,
                cause="taken_over",
                received_at=t.now(),
                body=None,
                dialect="",
            ),
        )
    return taken


def _status(t: Tables, p: Parameters) -> Sequence[Row]:
    status = t.one["status"]
    if status.epoch <= p["epoch"]:
        t.seen["seen: the breaker opens"] += p["breaker"] == "open" != status.breaker
        t.seen["seen: another host carries"] += bool(p["up"] and status.endpoint and p["endpoint"] != status.endpoint)
        names = ("epoch", "version", "up", "state", "cause", "breaker")
        endpoint = p["endpoint"] if p["up"] else status.endpoint
        went_down = status.down_since if not status.up and status.down_since else t.now()
        t.one["status"] = status.changed(
            since=t.now(),
            endpoint=endpoint,
            down_since=None if p["up"] else went_down,
            breaker_since=status.breaker_since if status.breaker == p["breaker"] else t.now(),
            **{name: p[name] for name in names},
        )
    return []


def _cut_over(t: Tables, p: Parameters) -> Sequence[Row]:
    status = t.one["status"]
    if status.last_cut_over != p["key"]:
        told_at = status.business_date_told_at
        is_known = told_at is not None and told_at > t.now() - timedelta(hours=1)
        day = status.business_date + timedelta(days=0 if is_known else 1)
        t.one["status"] = status.changed(business_date=day, last_cut_over=p["key"])
    return []


def _business_date(t: Tables, p: Parameters) -> Sequence[Row]:
    return [t.one["status"]]


def _business_date_told(t: Tables, p: Parameters) -> Sequence[Row]:
    status = t.one["status"]
    if status.business_date >= p["day"]:
        return []
    t.one["status"] = status.changed(business_date=p["day"], business_date_told_at=t.now())
    return [Row(id=p["day"].isoformat())]


def _draw_stans(t: Tables, p: Parameters) -> Sequence[Row]:
    return [Row(stan=t.next(SEQUENCE, HIGHEST_STAN)) for _ in range(p["count"])]


def _look_at_lease(t: Tables, p: Parameters) -> Sequence[Row]:
    return [t.one["lease"]]


def _grant(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if (lease.epoch, lease.renewals) != (p["epoch"], p["renewals"]):
        return []
    granted = {"epoch": lease.epoch + 1, "renewals": 0, "holder": p["holder"], "released": False}
    t.one["lease"] = lease.changed(renewed_at=t.now(), **granted)
    t.grants[lease.epoch + 1] = t.elapsed()
    return [t.one["lease"]]


def _renew(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if not _is_held(lease, p):
        return []
    t.one["lease"] = lease.changed(renewals=lease.renewals + 1, renewed_at=t.now())
    wish = {name: getattr(lease, name) for name in ("wanted", "wanted_endpoint", "wishes")}
    is_commanded = any(command.state == "open" for command in t.commands.values())
    return [Row(at=t.now(), link_version=t.one["link"].version, is_commanded=is_commanded, **wish)]


def _release(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if (lease.epoch, lease.holder) == (p["epoch"], p["holder"]):
        t.one["lease"] = lease.changed(released=True)
    return []


def _wish(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if lease.epoch != p["epoch"] or lease.released:
        return []
    wish = {"wanted": p["wanted"], "wanted_endpoint": p["endpoint"], "wishes": lease.wishes + 1}
    t.one["lease"] = lease.changed(**wish)
    if p["wanted"] == "open":
        _end_of_stop(t)
    return [Row(**wish)]


def _end_of_stop(t: Tables) -> None:
    if t.stops and t.stops[-1][1] is None:
        t.stops[-1] = (t.stops[-1][0], t.elapsed())


def _ask_command(t: Tables, p: Parameters) -> Sequence[Row]:
    names = ("link", "verb", "asked_by", "reason")
    facts = {name: p[name] for name in names}
    expires_at = t.now() + timedelta(seconds=p["patience_s"])
    row = Row(
        id=t.next("command"),
        state="open",
        expires_at=expires_at,
        epoch=None,
        parameters=json.loads(p["parameters"]),
        answer="",
        **facts,
    )
    t.commands[row.id] = row
    return [row]


def _claim_command(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if lease.epoch != p["epoch"] or lease.released:
        return []
    for command in list(t.commands.values()):
        if command.state == "running" and command.epoch <= p["epoch"]:
            t.commands[command.id] = command.changed(state="failed", answer=p["abandoned"])
    able = [c for c in t.commands.values() if c.state == "open" and c.expires_at > t.now()]
    claimed = [c.changed(state="running", epoch=p["epoch"]) for c in sorted(able, key=lambda c: int(c.id))[:1]]
    t.commands |= {command.id: command for command in claimed}
    return claimed


def _finish_command(t: Tables, p: Parameters) -> Sequence[Row]:
    command = t.commands[p["id"]]
    if (command.state, command.epoch) != ("running", p["epoch"]):
        return []
    t.commands[command.id] = command.changed(state=p["state"], answer=p["answer"])
    t.seen[f"seen: {command.verb} is {p['state']}"] += 1
    is_stopped = bool(t.stops) and t.stops[-1][1] is None
    if t.one["lease"].wanted != "open" and p["state"] == "done" and not is_stopped:
        t.stops.append((t.elapsed(), None))
    return [t.commands[command.id]]


def _expire_commands(t: Tables, p: Parameters) -> Sequence[Row]:
    over = [c.changed(state="expired") for c in t.commands.values() if c.state == "open" and c.expires_at <= t.now()]
    t.commands |= {command.id: command for command in over}
    return over


def _is_held(lease: Row, p: Parameters) -> bool:
    return (lease.epoch, lease.holder) == (p["epoch"], p["holder"]) and not lease.released


def _config(t: Tables, p: Parameters) -> Sequence[Row]:
    return [t.one["link"]]


def _live(t: Tables, p: Parameters) -> Sequence[Row]:
    status, lease = t.one["status"], t.one["lease"]
    alive = lease.renewed_at > t.now() - timedelta(seconds=links.ALIVE_S)
    up = status.up and status.epoch == lease.epoch and not lease.released and alive
    names = ("version", "business_date", "since", "state", "cause", "breaker")
    since = lease.renewed_at if status.up else status.down_since
    down_s = 0.0 if up else since and (t.now() - since).total_seconds()
    breaker_s = (t.now() - status.breaker_since).total_seconds() if status.breaker_since else 0.0
    facts = {name: getattr(status, name) for name in names}
    return [Row(up=up, down_s=down_s, breaker_s=breaker_s, wanted=lease.wanted, **facts)]


def _breaker(t: Tables, p: Parameters) -> Sequence[Row]:
    return [Row(breaker=t.one["status"].breaker)]


def _nothing(t: Tables, p: Parameters) -> Sequence[Row]:
    """The journal decides nothing, and there is one link to go to."""
    return []


_STATEMENTS: Final[dict[str, Model]] = {
    sql.FILE: _file,
    sql.FILE_ORPHANS: _file_orphans,
    sql.STATUS: _status,
    sql.BREAKER: _breaker,
    sql.CUT_OVER: _cut_over,
    sql.BUSINESS_DATE: _business_date,
    sql.BUSINESS_DATE_TOLD: _business_date_told,
    sql.DRAW_STANS.format(sequence=SEQUENCE): _draw_stans,
    sql.JOURNAL: _nothing,
    sql.HISTORY: _nothing,
    sql.PRUNE_HISTORY: _nothing,
    sql.FORGET_BODIES: _nothing,
    sql.LOOK_AT_LEASE: _look_at_lease,
    sql.GRANT: _grant,
    sql.RENEW: _renew,
    sql.RELEASE: _release,
    sql.WISH: _wish,
    sql.ASK_COMMAND: _ask_command,
    sql.CLAIM_COMMAND: _claim_command,
    sql.FINISH_COMMAND: _finish_command,
    sql.EXPIRE_COMMANDS: _expire_commands,
    links._CONFIG: _config,
    links._NAMES: _config,
    links._LIVE: _live,
    routing._ROUTES: _nothing,
}
