"""Compares the bank's list of a business date with ours; keeps what differs until a person has worked through it.

A file's lines are laid down in the request that brought them, and compared by a job, so many attempts at a time: each
time is one transaction, in which the lines that found their attempt are taken away. So it goes on whoever closes a tab
or kills a worker, and holds no more of a day in memory than that.
"""

import hashlib
from collections.abc import Sequence
from datetime import date, tzinfo
from functools import partial
from typing import Any, BinaryIO, Final

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from processor import links
from queueing.database import raw_connection, rows, run
from queueing.doorbell import MAINTENANCE, ring
from staff.audit import Actor, Result, record, subject_of
from staff.masking import mask_text
from transactions.models import Attempt
from transactions.reconciliation_models import Difference, HostFile, HostLine
from transactions.reports.host_lines import Line, read
from transactions.reports.matching import Finding, Ours, Verdict, match
from transactions.reports.settlement import standing

#: more than these is the file of another date, and nobody's work
MOST_DIFFERENCES: Final = 5_000
#: so many attempts are compared in one transaction
_AT_ONCE: Final = 2_000
#: so many times a task does that before it makes room for others
_TURNS: Final = 20

_log = structlog.get_logger(__name__)

_LAY_DOWN: Final = """
COPY transactions_hostline (file_id, number, rrn, stan, local_date, amount, currency, operation, is_approved)
FROM STDIN"""

_OF_THE_DATE: Final = """a.business_date = %(day)s AND a.link = %(link)s AND a.kind <> 'reversal'
    AND a.outcome NOT IN ('unsent', 'abandoned')"""
#: By text: uuid has no min() before PostgreSQL 18.
_COUNT: Final = f"""
SELECT count(*)::int AS ours, min(a.payment_id::text)::uuid AS first, max(a.payment_id::text)::uuid AS last
FROM transactions_attempt a WHERE {_OF_THE_DATE}"""

#: Attempts in the order of their payments, those of other dates among them passed over.
_NEXT: Final = "(a.payment_id, a.number) > (%(payment)s::uuid, %(number)s::smallint)"
_EDGE: Final = f"""
SELECT * FROM (
    SELECT a.payment_id, a.number FROM transactions_attempt a WHERE {_NEXT} AND a.payment_id <= %(last)s::uuid
    ORDER BY a.payment_id, a.number LIMIT {_AT_ONCE}) AS next
ORDER BY payment_id DESC, number DESC LIMIT 1"""
_OURS: Final = f"""
SELECT a.payment_id, a.rrn, a.host_rrn, a.stan, a.transmitted_at, a.outcome, a.undoing,
    p.operation, p.amount, p.currency, p.voided_by IS NOT NULL AS is_voided
FROM transactions_attempt a JOIN transactions_payment p ON p.id = a.payment_id
WHERE {_NEXT} AND (a.payment_id, a.number) <= (%(to_payment)s::uuid, %(to_number)s::smallint) AND {_OF_THE_DATE}
ORDER BY a.payment_id, a.number"""

_COLUMNS: Final = "number, rrn, stan, local_date, amount, currency, operation, is_approved"
_NAMED: Final = f"""
SELECT {_COLUMNS} FROM transactions_hostline WHERE file_id = %(file)s AND rrn = ANY(%(rrns)s::text[])
UNION
SELECT {_COLUMNS} FROM transactions_hostline
WHERE file_id = %(file)s AND stan = ANY(%(stans)s::int[]) AND local_date = ANY(%(dates)s::date[])
ORDER BY number"""
_LEFT: Final = f"""
SELECT {_COLUMNS} FROM transactions_hostline WHERE file_id = %(file)s ORDER BY number LIMIT {_AT_ONCE}"""
_TAKE: Final = "DELETE FROM transactions_hostline WHERE file_id = %(file)s AND number = ANY(%(numbers)s::int[])"


class UnknownLink(Exception):
    """There is no such link."""


@transaction.atomic
def begin(body: BinaryIO, day: date, link: str, by: Actor) -> HostFile:
    """Lay a file's lines down, to be compared soon; raises WrongFile and UnknownLink, and then keeps nothing."""
    if links.remembered(link) is None:
        raise UnknownLink
    digest = hashlib.file_digest(body, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants readinto()
    body.seek(0)
    file = HostFile.objects.create(link=link, business_date=day, digest=digest, lines=0, uploaded_by=by.name)
    with raw_connection().cursor() as cursor, cursor.copy(_LAY_DOWN) as copy:
        for line in read(body):
            copy.write_row(_laid_down(file, line))
            file.lines += 1
    file.save(update_fields=["lines"])
    detail = {"business_date": day, "link": link, "lines": file.lines, "sha256": digest}
    record("upload_host_file", by, subject=subject_of(file), detail=detail)
    transaction.on_commit(partial(ring, MAINTENANCE))
    return file


def work() -> None:
    """Compare what there is to compare, for one task's time; rings for the rest."""
    for _turn in range(_TURNS):
        if not _go_on():
            return
    ring(MAINTENANCE)


def resume() -> None:
    """Ring for files that nobody works on; run by the recovery job."""
    if HostFile.objects.filter(ended_at=None).exists():
        ring(MAINTENANCE)


@transaction.atomic
def _go_on() -> bool:
    """Take one step with a file that nobody else has; False when there is none."""
    file = HostFile.objects.filter(ended_at=None).order_by("id").select_for_update(skip_locked=True).first()
    if file is None:
        return False
    try:
        with transaction.atomic():
            _take_step(file)
    except (OperationalError, InterfaceError):
        raise  # a database that is away is nobody's result
    except Exception:  # noqa: BLE001  (whatever is wrong with one file, those behind it are compared)
        _log.exception("host_file.broken", file=file.pk)
        file.refresh_from_db()
        _end(file, HostFile.Failed.BROKEN)
    file.save()
    return True


def _take_step(file: HostFile) -> None:
    if file.ours is None:
        _count(file)
    elif edge := rows(_EDGE, _place(file)) if file.last_payment else ():
        _compare(file, edge[0])
    elif left := rows(_LEFT, {"file": file.pk}):
        findings = [Finding(Verdict.THEIRS_ONLY, None, (_line(row),)) for row in left]
        _keep(file, findings)
    else:
        _end(file)


def _count(file: HostFile) -> None:
    """Find out how many attempts of ours there are, and between which payments."""
    found = rows(_COUNT, _date(file))[0]
    file.ours, file.at_payment, file.at_number, file.last_payment = found.ours, found.first, -1, found.last


def _compare(file: HostFile, edge: Any) -> None:
    """Compare the attempts up to an edge with the lines that name them."""
    config = links.remembered(file.link)
    if config is None:
        raise UnknownLink
    to = {"to_payment": edge.payment_id, "to_number": edge.number}
    ours = [_ours(row, config.time_zone) for row in rows(_OURS, {**_place(file), **to})]
    names = {
        "rrns": [rrn for one in ours for rrn in one.rrns],
        "stans": [one.stan for one in ours],
        "dates": list({one.local_date for one in ours}),
    }
    lines = [_line(row) for row in rows(_NAMED, {"file": file.pk, **names})] if ours else []
    _keep(file, [finding for finding in match(ours, lines) if finding.ours])
    file.compared += len(ours)
    file.at_payment, file.at_number = edge.payment_id, edge.number


def _keep(file: HostFile, findings: Sequence[Finding]) -> None:
    """Keep what differs, and take away the lines that were found a place; too many are no differences."""
    run(_TAKE, {"file": file.pk, "numbers": [line.number for one in findings for line in one.lines]})
    differing = [one for one in findings if one.verdict is not Verdict.AGREES]
    file.agreeing += len(findings) - len(differing)
    file.differing += len(differing)
    if file.differing > MOST_DIFFERENCES:
        _end(file, HostFile.Failed.TOO_MANY)
        return
    elsewhere = _elsewhere(differing, file.link)
    Difference.objects.bulk_create((_difference(file, one, elsewhere) for one in differing), batch_size=_AT_ONCE)


def _end(file: HostFile, failed: str = "") -> None:
    """End it, and say so; what failed leaves nothing but that."""
    if failed:
        HostLine.objects.filter(file=file).delete()
        Difference.objects.filter(file=file).delete()
        file.agreeing = file.differing = 0
    file.failed, file.ended_at = failed, Now()
    detail = {"agreeing": file.agreeing, "differences": file.differing, "failed": failed}
    result = Result.FAILED if failed else Result.DONE
    record("compare_host_file", Actor(file.uploaded_by), result, subject=subject_of(file), detail=detail)


@transaction.atomic
def work_through(difference: Difference, reason: str, by: Actor) -> bool:
    """Mark a difference as worked through; False where somebody already has."""
    marked = {"worked_by": by.name, "worked_at": Now(), "reason": mask_text(reason)}
    if Difference.objects.filter(pk=difference.pk, worked_at=None).update(**marked) != 1:
        return False
    detail = {"difference": difference.pk, "kind": difference.kind, "payment": str(difference.payment_id or "")}
    record("work_through_difference", by, subject=subject_of(difference.file), why=reason, detail=detail)
    return True


def _date(file: HostFile) -> dict[str, Any]:
    return {"day": file.business_date, "link": file.link}


def _place(file: HostFile) -> dict[str, Any]:
    return {**_date(file), "payment": file.at_payment, "number": file.at_number, "last": file.last_payment}


def _laid_down(file: HostFile, line: Line) -> Sequence[Any]:
    named = (file.pk, line.number, line.rrn, line.stan, line.local_date)
    return (*named, line.amount_minor, line.currency, line.operation, line.is_approved)


def _line(row: Any) -> Line:
    named = (row.number, row.rrn, row.stan, row.local_date)
    return Line(*named, row.amount, row.currency, row.operation, row.is_approved)


def _ours(row: Any, zone: tzinfo) -> Ours:
    return Ours(
        payment_id=row.payment_id,
        rrns=tuple(rrn for rrn in (row.rrn, row.host_rrn) if rrn),
        stan=row.stan,
        local_date=row.transmitted_at.astimezone(zone).date(),
        amount_minor=row.amount,
        currency=row.currency,
        operation=row.operation,
        standing=standing(row.outcome, row.undoing),
        is_voided=row.is_voided,
    )


def _elsewhere(differing: Sequence[Finding], link: str) -> dict[str, Any]:
    """Return the payments that lines of theirs name by an RRN of ours under another date, as around a cut-over."""
    rrns = [one.lines[0].rrn for one in differing if one.ours is None and one.lines[0].rrn]
    known = Attempt.objects.filter(rrn__in=rrns, link=link).values_list("rrn", "payment_id")
    return dict(known)


def _difference(file: HostFile, found: Finding, elsewhere: dict[str, Any]) -> Difference:
    ours, line = found.ours, found.lines[0] if found.lines else None
    kept = Difference(file=file, kind=found.verdict.value, their_state=found.theirs)
    if line:
        kept.line, kept.rrn, kept.stan = line.number, line.rrn, line.stan
        kept.their_operation, kept.their_amount, kept.their_currency = line.operation, line.amount_minor, line.currency
        kept.payment_id = elsewhere.get(line.rrn)
    if ours:
        kept.rrn, kept.stan, kept.payment_id = ours.rrns[0], ours.stan, ours.payment_id
        kept.our_state, kept.our_operation = ours.standing.value, ours.operation
        kept.our_amount, kept.our_currency = ours.amount_minor, ours.currency
    return kept
