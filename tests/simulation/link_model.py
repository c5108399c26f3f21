"""The holder's statements as functions over rows in memory: lease, filing, status; and the link as configured."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from processor import links
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
        failback_s=60.0,
        store_and_forward=True,
        breaker_failures=5,
        breaker_rate=50,
        breaker_volume=20,
        breaker_window_s=60.0,
        breaker_open_s=15.0,
        breaker_successes=2,
        endpoints=["10.0.0.1 7000"],
    )
    tables.one["lease"] = Row(
        link="bank", epoch=0, holder="", renewals=0, released=True, renewed_at=tables.now() - timedelta(days=1)
    )
    tables.one["status"] = Row(
        link="bank", epoch=0, version=0, up=False, state="closed", cause="", since=None, last_cut_over="",
        breaker="closed", breaker_since=None, down_since=None,
        business_date=tables.now().date(),
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
        names = ("epoch", "version", "up", "state", "cause", "breaker")
        went_down = status.down_since if not status.up and status.down_since else t.now()
        t.one["status"] = status.changed(
            since=t.now(),
            down_since=None if p["up"] else went_down,
            breaker_since=status.breaker_since if status.breaker == p["breaker"] else t.now(),
            **{name: p[name] for name in names},
        )
    return []


def _cut_over(t: Tables, p: Parameters) -> Sequence[Row]:
    status = t.one["status"]
    if status.last_cut_over != p["key"]:
        next_day = status.business_date + timedelta(days=1)
        t.one["status"] = status.changed(business_date=next_day, last_cut_over=p["key"])
    return []


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
    return [Row(link_version=t.one["link"].version)]


def _release(t: Tables, p: Parameters) -> Sequence[Row]:
    lease = t.one["lease"]
    if (lease.epoch, lease.holder) == (p["epoch"], p["holder"]):
        t.one["lease"] = lease.changed(released=True)
    return []


def _is_held(lease: Row, p: Parameters) -> bool:
    return (lease.epoch, lease.holder) == (p["epoch"], p["holder"]) and not lease.released


def _config(t: Tables, p: Parameters) -> Sequence[Row]:
    return [t.one["link"]]


def _live(t: Tables, p: Parameters) -> Sequence[Row]:
    status, lease = t.one["status"], t.one["lease"]
    alive = lease.renewed_at > t.now() - timedelta(seconds=links._ALIVE_S)
    up = status.up and status.epoch == lease.epoch and not lease.released and alive
    names = ("version", "business_date", "since", "state", "cause", "breaker")
    since = lease.renewed_at if status.up else status.down_since
    down_s = 0.0 if up else since and (t.now() - since).total_seconds()
    breaker_s = (t.now() - status.breaker_since).total_seconds() if status.breaker_since else 0.0
    facts = {name: getattr(status, name) for name in names}
    return [Row(up=up, down_s=down_s, breaker_s=breaker_s, **facts)]


def _breaker(t: Tables, p: Parameters) -> Sequence[Row]:
    return [Row(breaker=t.one["status"].breaker)]


def _journal(t: Tables, p: Parameters) -> Sequence[Row]:
    return []


_STATEMENTS: Final[dict[str, Model]] = {
    sql.FILE: _file,
    sql.FILE_ORPHANS: _file_orphans,
    sql.STATUS: _status,
    sql.BREAKER: _breaker,
    sql.CUT_OVER: _cut_over,
    sql.DRAW_STANS.format(sequence=SEQUENCE): _draw_stans,
    sql.JOURNAL: _journal,
    sql.LOOK_AT_LEASE: _look_at_lease,
    sql.GRANT: _grant,
    sql.RENEW: _renew,
    sql.RELEASE: _release,
    links._CONFIG: _config,
    links._NAMES: _config,
    links._LIVE: _live,
}
