"""One action on up to a thousand payments, as a job that goes on whoever closes a tab or kills a worker.

Each payment is one transaction: its item is locked, the action is done, what came of it is written down and recorded,
and all of that commits or nothing does. So an item is done once, however many workers work on the job and wherever one
dies.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from queueing.doorbell import MAINTENANCE, ring
from staff import requests
from staff.audit import Actor, Result, Subject, record
from staff.masking import mask_text
from staff.models import Request
from staff.requests import Kind
from transactions import actions
from transactions.accepting import BacklogFull, LinkUnavailable
from transactions.actions import ACTIONS, APPROVE, Action, Parameters, subject_of
from transactions.domain.errors import NotAllowed, UnknownPayment
from transactions.domain.money import Money
from transactions.job_models import Job, JobItem
from transactions.models import Payment

MOST: Final = 1000
#: what can be done to many at once: what needs no amount of its own
BULK: Final = {name: ACTIONS[name] for name in ("retry", "cancel", "reverse", "resolve", "void")}
_TITLES: Final = {
    "reverse": gettext_lazy("Reverse payments"),
    "resolve": gettext_lazy("Resolve payments on evidence"),
    "void": gettext_lazy("Void payments"),
}
_KIND: Final = "transactions.job"
#: so many items a task works on before it makes room for others
_AT_ONCE: Final = 200
_log = structlog.get_logger(__name__)


class TooMany(Exception):
    """A job has at least one payment and at most a thousand; nothing was begun."""


def begin(
    action: Action,
    payment_ids: Sequence[UUID],
    by: Actor,
    reason: str,
    form: UUID | None = None,
    parameters: Parameters | None = None,
) -> Job:
    """Make a job; it starts now, or when a second person agrees. Raises TooMany, for none as well.

    `form` names the page that it is begun on: a second time, by a double click, it is the job that there is.
    """
    ids = sorted(set(payment_ids))
    if not by.may(action.permission):
        raise PermissionDenied
    if not 0 < len(ids) <= MOST:
        raise TooMany
    with transaction.atomic():
        made = {"action": action.name, "parameters": parameters or {}, "reason": mask_text(reason), "size": len(ids)}
        job, is_new = Job.objects.get_or_create(maker=by.name, form=form or uuid4(), defaults=made)
        if not is_new:
            return job
        JobItem.objects.bulk_create(JobItem(job=job, payment_id=payment_id) for payment_id in ids)
        subject = Subject(_KIND, str(job.pk))
        if action.needs_second:
            requests.ask(_code(action), subject, by, reason, {"payments": len(ids), **job.parameters})
        else:
            record(_code(action), by, subject=subject, why=reason, detail={"payments": len(ids)})
            _start(job.pk)
    return job


def work() -> None:
    """Work on what is open of all jobs, for one task's time; rings for the rest."""
    for _turn in range(_AT_ONCE):
        if not _work_on_one():
            break
    else:
        ring(MAINTENANCE)
    open_items = JobItem.objects.filter(job=OuterRef("pk"), result="")
    _running().filter(~Exists(open_items)).update(ended_at=Now())


def resume() -> None:
    """Ring for jobs that nobody works on; run by the recovery job."""
    if _running().exists():
        ring(MAINTENANCE)


def progress(job: Job) -> Counter[str]:
    """Return how many items came to what; "" is how many are open."""
    return Counter(JobItem.objects.filter(job=job).values_list("result", flat=True))


def request_of(job: Job) -> Request | None:
    """Return the request that a job waits for, or waited for."""
    return Request.objects.filter(subject_kind=_KIND, subject=str(job.pk)).order_by("-id").first()


def _code(action: Action) -> str:
    """What it is called in the audit, and as a request, when it is done to many."""
    return f"{action.code}s"


def _running() -> Any:
    return Job.objects.filter(started_at__isnull=False, ended_at__isnull=True)


def _start(job_id: int, checker: str = "") -> bool:
    """Let a job begin, once."""
    started = Job.objects.filter(pk=job_id, started_at__isnull=True).update(started_at=Now(), checker=checker)
    transaction.on_commit(partial(ring, MAINTENANCE))
    return bool(started)


def _work_on_one() -> bool:
    """Do the next open item that nobody else has; False when there is none."""
    with transaction.atomic():
        items = JobItem.objects.select_related("job").filter(job__in=_running().values("id"), result="")
        item = items.order_by("job_id", "id").select_for_update(of=("self",), skip_locked=True).first()
        if item is None:
            return False
        job = item.job
        action = BULK[job.action]
        result, outcome = _act(action, item, job)
        JobItem.objects.filter(pk=item.pk).update(result=result, outcome=outcome, done_at=Now())
        detail = {"job": job.pk, "outcome": outcome}
        subject = subject_of(item.payment_id)
        record(action.code, Actor(job.maker), Result(result), subject=subject, why=job.reason, detail=detail)
    return True


def _act(action: Action, item: JobItem, job: Job) -> tuple[str, str]:
    """Do it and return what came of it, with its sentence; a database that is away is nobody's result."""
    note = _("%(reason)s (%(checker)s agreed)") % {"reason": job.reason, "checker": job.checker}
    given = {**job.parameters, "key": f"job-{item.pk}"}
    try:
        with transaction.atomic():
            made = action.perform(item.payment_id, f"staff:{job.maker}", note if job.checker else job.reason, given)
    except NotAllowed as error:
        return JobItem.Result.REFUSED, str(error)
    except UnknownPayment:
        return JobItem.Result.REFUSED, _("There is no such payment.")
    except (LinkUnavailable, BacklogFull):
        return JobItem.Result.REFUSED, _("The link cannot take it now. Ask again when it is up.")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever is wrong with one payment, the others go on)
        _log.exception("job.item_failed", job=job.pk, payment=str(item.payment_id), error=type(error).__name__)
        return JobItem.Result.FAILED, _("Something broke. Nothing was changed; look at the payment.")
    return JobItem.Result.DONE, actions.done(action, made)


def kinds() -> list[Kind]:
    """Return the requests that jobs become where a second person has to agree."""
    return [
        Kind(_code(action), _TITLES[name], action.meaning, action.permission, APPROVE, _agreed, _facts)
        for name, action in BULK.items()
        if action.needs_second
    ]


def _agreed(asked: Request) -> str:
    if not _start(int(asked.subject), asked.checker):
        return _("It was started already.")
    return _("It has begun; its page shows how far it is.")


def _facts(asked: Request) -> list[tuple[str, Any]]:
    ids = JobItem.objects.filter(job=int(asked.subject)).values("payment_id")
    amounts: Counter[str] = Counter()
    for amount, currency in Payment.objects.filter(id__in=ids).values_list("amount", "currency"):
        amounts[currency] += amount
    in_all = ", ".join(str(Money(amount, currency)) for currency, amount in sorted(amounts.items()))
    facts = [
        (_("Payments"), asked.parameters["payments"]),
        (_("In all"), in_all),
        (_("To end as"), asked.parameters.get("outcome")),
    ]
    return [(name, value) for name, value in facts if value is not None]
