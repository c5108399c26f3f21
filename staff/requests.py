"""Maker and checker: one person asks, another agrees, and only then it is done, once.

Owns the states of a request and who may move it. What a kind of request does is registered by the package that owns it;
here nothing is known of payments, links or keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _

from staff.audit import FERRYMAN, Actor, Result, Subject, record
from staff.masking import mask_text
from staff.models import Request

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

State = Request.State
#: among a request's parameters: the one who asked was told
_TOLD: Final = "told"
_log = structlog.get_logger(__name__)


class NotPossible(Exception):
    """A request cannot be made, or not be decided by this person now; the message says why, for people."""


class Forbidden(NotPossible):
    """Never for this person, whatever becomes of the request; the message says why, for people."""


class NotDone(Exception):
    """What was agreed to is not possible any more; nothing was changed. The message says why, for people."""


def _nobody_barred(_asked: Request, _by: Actor) -> str:
    return ""


def _nothing_to_tell(_asked: Request) -> str:
    return ""


def _nothing_to_drop(_asked: Request) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, as a sentence; a secret that came of it is told once, to who agreed, and kept nowhere."""

    sentence: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request: what it is called, who may ask and agree, what it would do, and how it is done.

    `carry_out` runs in the transaction that decides the request; it returns what was done, as a sentence where nothing
    secret came of it, or raises NotDone.
    """

    code: str
    title: "StrPromise"
    #: what will happen, in a sentence or two
    meaning: "StrPromise"
    ask: str
    approve: str
    carry_out: Callable[[Request], str | Done]
    #: the facts that the second person decides on, as (name, value)
    facts: Callable[[Request], Sequence[tuple[str, Any]]]
    #: takes back what was made ready, when it is not going to be done
    drop: Callable[[Request], None] = _nothing_to_drop
    #: a secret for who asked, once it was done: told once, and kept nowhere; empty where there is none
    tell: Callable[[Request], str] = _nothing_to_tell
    #: why this person of all cannot decide, as a sentence; empty when they can
    barred: Callable[[Request, Actor], str] = _nobody_barred


_kinds: Final[dict[str, Kind]] = {}


def register(*kinds: Kind) -> None:
    """Make kinds known; called when the apps are ready."""
    _kinds.update({kind.code: kind for kind in kinds})


def kind_of(request: Request) -> Kind:
    """Return the kind of a request."""
    return _kinds[request.kind]


def kinds() -> Sequence[Kind]:
    """Return every kind that there is."""
    return list(_kinds.values())


def ask(code: str, subject: Subject, maker: Actor, reason: str, parameters: Mapping[str, Any] | None = None) -> Request:
    """Ask for something; raises PermissionDenied, or NotPossible when the same is asked for already."""
    if not maker.may(_kinds[code].ask):
        raise PermissionDenied
    try:
        with transaction.atomic():
            asked = Request.objects.create(
                kind=code,
                subject_kind=subject.kind,
                subject=subject.key,
                parameters=dict(parameters or {}),
                maker=maker.name,
                reason=mask_text(reason),
                expires_at=Now() + timedelta(hours=settings.REQUEST_HOURS),
            )
            record(code, maker, Result.ASKED, subject=subject, why=reason, detail={"request": asked.pk})
    except IntegrityError:
        why = _("This is asked for already, if not just so: decide on that request first, or withdraw it.")
        refused(code, subject, maker, reason, why)
        raise NotPossible(why) from None
    asked.refresh_from_db()
    _log.info("request.asked", request=asked.pk, kind=code, maker=maker.name)
    return asked


def approve(request_id: int, checker: Actor, note: str = "") -> Request:
    """Agree, and do it in the same transaction; the state says whether it could be done, `secret` what to tell once.

    Raises Forbidden for one's own request, NotPossible for one that is decided or expired, and PermissionDenied for who
    may not; either of the first two is in the audit as well.
    """
    with _deciding(request_id, checker, note):
        asked = _decide(request_id, State.DONE, checker, note)
        try:
            with transaction.atomic():
                done, state = kind_of(asked).carry_out(asked), State.DONE
        except NotDone as error:
            done, state = str(error), State.FAILED
            kind_of(asked).drop(asked)
        outcome, secret = (done.sentence, done.secret) if isinstance(done, Done) else (done, "")
        Request.objects.filter(pk=asked.pk).update(state=state, outcome=outcome)
        _tell(asked, checker, Result.APPROVED, note)
        _tell(asked, Actor(asked.maker), Result.DONE if state is State.DONE else Result.FAILED, asked.reason, outcome)
        asked.refresh_from_db()
        asked.secret = secret
    _log.info("request.decided", request=asked.pk, state=asked.state, maker=asked.maker, checker=checker.name)
    return asked


def turn_down(request_id: int, checker: Actor, note: str) -> Request:
    """Say no; raises as `approve` does."""
    with _deciding(request_id, checker, note):
        asked = _decide(request_id, State.TURNED_DOWN, checker, note)
        kind_of(asked).drop(asked)
        _tell(asked, checker, Result.TURNED_DOWN, note)
    return asked


def withdraw(request_id: int, maker: Actor, note: str = "") -> Request:
    """Take one's own request back; raises Forbidden for another's, NotPossible for one that is decided or expired."""
    with _deciding(request_id, maker, note):
        asked = _decide(request_id, State.WITHDRAWN, maker, note)
        kind_of(asked).drop(asked)
        _tell(asked, maker, Result.WITHDRAWN, note)
    return asked


def may_be_told(asked: Request, by: Actor) -> bool:
    """Say whether something waits to be told to this person, who asked for what is done now."""
    waits = asked.state == State.DONE and asked.maker == by.name and _TOLD not in asked.parameters
    return waits and bool(kind_of(asked).tell(asked))


def tell(request_id: int, maker: Actor) -> str:
    """Return what only the one who asked is told, once; raises NotPossible for anybody else, and for a second time."""
    with transaction.atomic():
        asked = Request.objects.select_for_update().get(pk=request_id)
        if not may_be_told(asked, maker):
            raise NotPossible(_("It is told once, to who asked for it."))
        Request.objects.filter(pk=asked.pk).update(parameters={**asked.parameters, _TOLD: True})
        record("show_code", maker, subject=Subject(asked.subject_kind, asked.subject), detail={"request": asked.pk})
    return kind_of(asked).tell(asked)


def expire() -> None:
    """End what nobody decided in time; run by the recovery job."""
    with transaction.atomic():
        late = Request.objects.filter(state=State.OPEN, expires_at__lte=Now()).order_by("id")
        for asked in late.select_for_update(skip_locked=True)[:100]:
            Request.objects.filter(pk=asked.pk).update(state=State.EXPIRED, decided_at=Now())
            kind_of(asked).drop(asked)
            _tell(asked, FERRYMAN, Result.EXPIRED)


def waiting(subject: Subject | None = None) -> "QuerySet[Request]":
    """Return what waits for a second person, oldest first; about one subject, or all."""
    found = Request.objects.filter(state=State.OPEN, expires_at__gt=Now()).order_by("id")
    return found.filter(subject_kind=subject.kind, subject=subject.key) if subject else found


def shown(asked: Request) -> dict[str, Any]:
    """Return a request as the page of what it is about shows it."""
    address = reverse("admin:staff_request_change", args=[asked.pk])
    return {"title": kind_of(asked).title, "maker": asked.maker, "address": address}


def objection(asked: Request, checker: Actor) -> str:
    """Return why this person cannot agree to this request or turn it down; empty when they can."""
    if asked.state != State.OPEN:
        return _("It was decided already: %(state)s.") % {"state": State(asked.state).label}
    if not waiting().filter(pk=asked.pk).exists():
        return _("It has expired. Ask again if it is still wanted.")
    if asked.maker == checker.name:
        return _own()
    if not checker.may(kind_of(asked).approve):
        return _("Your role does not agree to this: ask somebody whose role does.")
    return kind_of(asked).barred(asked, checker)


def _own() -> str:
    return _("You asked for this yourself: somebody else has to agree.")


def refused(code: str, subject: Subject, by: Actor, reason: str, why: str) -> None:
    """Write down that somebody asked for what is not asked for, with what they were told."""
    record(code, by, Result.REFUSED, subject=subject, why=reason, detail={"outcome": why})


@contextmanager
def _deciding(request_id: int, by: Actor, note: str) -> Iterator[None]:
    """One transaction; what is refused in it is written down once it is undone."""
    try:
        with transaction.atomic():
            yield
    except NotPossible as error:
        _tell(Request.objects.get(pk=request_id), by, Result.REFUSED, note, str(error))
        raise


def _decide(request_id: int, state: Request.State, by: Actor, note: str) -> Request:
    """Move an open request to a state if this person may: one conditional UPDATE decides who was first."""
    asked = Request.objects.get(pk=request_id)
    allowed = waiting().filter(pk=request_id)
    if state is State.WITHDRAWN:
        if asked.maker != by.name:
            raise Forbidden(_("Only who asked for it takes it back."))
    else:
        if not by.may(kind_of(asked).approve):
            raise PermissionDenied
        if asked.maker == by.name:
            raise Forbidden(_own())
        if barred := kind_of(asked).barred(asked, by):
            raise Forbidden(barred)
    if not allowed.update(state=state, checker=by.name, decided_at=Now(), note=mask_text(note)):
        asked.refresh_from_db()
        raise NotPossible(objection(asked, by))
    asked.refresh_from_db()
    return asked


def _tell(asked: Request, by: Actor, result: Result, why: str = "", outcome: str = "") -> None:
    detail = {"request": asked.pk, "maker": asked.maker, **({"outcome": outcome} if outcome else {})}
    record(asked.kind, by, result, subject=Subject(asked.subject_kind, asked.subject), why=why, detail=detail)
