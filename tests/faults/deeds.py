"""What must hold of what staff did: their own account and the database's in, sentences about what is wrong out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tests.faults.pages import Page

_CONFIGURE: Final = "configure"
_CHILDREN: Final = ("void_payment", "refund_payment", "capture_payment")
#: what an event of a member of staff is called in the audit
_ACTS: Final = {
    "Cancelled": "cancel_payment",
    "RetryRequested": "retry_payment",
    "ReversalRequired": "reverse_payment",
    "Resolved": "resolve_payment",
}
#: both write the one record of a replay
_REPLAYS: Final = ("resend_webhook", "replay_webhooks")
_LINKS: Final = ("command_link", "configure_link", "link.command", "link.configure")
_DECISIONS: Final = {"done": "approved", "failed": "approved", "turned_down": "turned_down"}
#: without a reason of their own; counted by who did them
_UNREASONED: Final = {"sign_in": "sign_in", "export": "export_payments", "export_audit": "export_audit"}


@dataclass(slots=True)
class Deed:
    """One thing that a member of staff set out to do; its reason is on whatever came of it."""

    who: str
    what: str
    #: act, ask, bulk, tell, webhooks, decide, sign_in, export or export_audit
    kind: str
    reason: str
    #: presses that were answered: it is done
    done: int = 0
    #: presses that were answered: it is not
    refused: int = 0
    #: presses that were not answered
    lost: int = 0

    def hear(self, page: Page) -> None:
        """Take in what a page says of a press."""
        if self.kind == "bulk":
            is_done = "/job/" in page.path
        elif self.kind == "decide":
            # Also in the form of who is refused; told as its note only where it was decided so.
            is_done = f"<dd>{self.reason}</dd>" in page.text
        else:
            is_done = bool(page.said) and page.said[-1].is_good
        if is_done:
            self.done += 1
        else:
            self.refused += 1


@dataclass(frozen=True, slots=True)
class Work:
    """Both sides: what staff pressed and were told, and what the database has of it."""

    deeds: Sequence[Deed]
    requests: Sequence[Any] = ()
    records: Sequence[Any] = ()
    events: Sequence[Any] = ()
    jobs: Sequence[Any] = ()
    items: Sequence[Any] = ()
    commands: Sequence[Any] = ()
    versions: Sequence[Any] = ()
    links: Sequence[Any] = ()
    replays: Sequence[Any] = ()


class Entry(NamedTuple):
    """One row of the audit, as far as two of them are compared."""

    who: str
    action: str
    subject: str
    result: str
    why: str


def a_press_is_carried_out_once(work: Work) -> Iterator[str]:
    """At most once for each press, and exactly once where its answer said so."""
    made = _made(work)
    for deed in work.deeds:
        if deed.kind in _UNREASONED:
            continue
        times = made[deed.kind, deed.who, deed.reason]
        if not deed.done <= times <= deed.done + deed.lost:
            yield (
                f"“{deed.reason}” was told to be done {deed.done} times, not answered {deed.lost}, "
                f"refused {deed.refused}, and is done {times} times"
            )


def what_was_agreed_is_carried_out(work: Work) -> Iterator[str]:
    """Once; what was not agreed, or not possible, never, and it says why. Nothing is left open."""
    for asked in work.requests:
        times, wanted = _carried_out(work, asked), int(asked.state == "done")
        if asked.state == "open":
            yield f"request {asked.id}, {asked.kind}, is left open"
        if times != wanted:
            yield f"request {asked.id}, {asked.kind}, is {asked.state} and carried out {times} times"
        if not {"done": asked.outcome, "failed": asked.outcome, "turned_down": asked.note}.get(asked.state, "-"):
            yield f"request {asked.id}, {asked.kind}, is {asked.state} and does not say why"


def maker_and_checker_differ(work: Work) -> Iterator[str]:
    """Whoever asked did not decide."""
    for asked in work.requests:
        if asked.state in _DECISIONS and asked.checker in ("", asked.maker):
            yield f"request {asked.id} of {asked.maker} was decided by {asked.checker or 'nobody'}"
    for job in work.jobs:
        if job.checker == job.maker:
            yield f"job {job.id} of {job.maker} was agreed to by the same"


def a_job_ends_with_every_payment_counted_once(work: Work) -> Iterator[str]:
    """What was started ends; each payment has one result with its sentence, and one event where it was done."""
    noted = Counter((event.payment, event.note) for event in work.events)
    for job in work.jobs:
        mine = [item for item in work.items if item.job_id == job.id]
        if job.started_at and not job.ended_at:
            yield f"job {job.id} has not ended"
        if len({item.payment for item in mine}) != job.size or len(mine) != job.size:
            yield f"job {job.id} is of {job.size} payments and has {len(mine)}"
        note = f"{job.reason} ({job.checker} agreed)" if job.checker else job.reason
        for item in mine:
            if bool(job.started_at) != bool(item.result and item.outcome):
                yield f"payment {item.payment} of job {job.id} came to {item.result!r}: {item.outcome!r}"
            if noted[item.payment, note] != (item.result == "done"):
                times = noted[item.payment, note]
                yield f"payment {item.payment} of job {job.id} is said to be {item.result} and was done {times} times"


def what_was_done_is_in_the_audit(work: Work) -> Iterator[str]:
    """Who, what, to what, why and what came of it."""
    for entry, times in (_owed(work) - _written(work)).items():
        yield f"{times} times missing: {entry}"


def the_audit_claims_no_more(work: Work) -> Iterator[str]:
    """No row tells of what was not done."""
    for entry, times in (_written(work) - _owed(work)).items():
        yield f"{times} times too many: {entry}"


def what_has_no_reason_is_in_the_audit_too(work: Work) -> Iterator[str]:
    """Sign-ins and downloads, as often as they were had."""
    written = Counter((record.who, record.action) for record in work.records if record.result == "done")
    for kind, action in _UNREASONED.items():
        done, lost = Counter[str](), Counter[str]()
        for deed in (deed for deed in work.deeds if deed.kind == kind):
            done[deed.who] += deed.done
            lost[deed.who] += deed.lost
        for who in {*done, *(name for name, what in written if what == action)}:
            if not done[who] <= written[who, action] <= done[who] + lost[who]:
                yield f"{who} had {action} {done[who]} to {done[who] + lost[who]} times, written {written[who, action]}"


def a_link_command_is_answered_or_expired(work: Work) -> Iterator[str]:
    """Nothing asked of a link is left open, and its end is a sentence."""
    for command in work.commands:
        if command.state in ("open", "running") or not command.answer:
            yield f"command {command.id}, {command.verb}, is {command.state}: {command.answer!r}"


def versions_follow_each_other_and_the_last_one_runs(work: Work) -> Iterator[str]:
    """From 1 without a gap; each was agreed to, and what was said to be in use is kept."""
    for link in work.links:
        mine = [kept for kept in work.versions if kept.link == link.name]
        numbers = [kept.version for kept in mine]
        if numbers != list(range(1, link.version + 1)):
            yield f"{link.name} has version {link.version} and keeps {numbers}"
        if link.running != link.version:
            yield f"{link.name} has version {link.version} and runs {link.running}"
    agreed = Counter((asked.maker, asked.reason) for asked in work.requests if asked.state == "done")
    members = {deed.who for deed in work.deeds}
    made = Counter((kept.who, kept.why) for kept in work.versions if kept.who in members)
    for (who, why), times in (made - agreed).items():
        yield f"{times} versions of {who} that nobody agreed to: {why}"
    for command in work.commands:
        if (command.verb, command.state) == (_CONFIGURE, "done") and not made[command.asked_by, command.reason]:
            yield f"command {command.id} is done and no version is kept: {command.answer}"


CHECKS: Final = (
    a_press_is_carried_out_once,
    what_was_agreed_is_carried_out,
    maker_and_checker_differ,
    a_job_ends_with_every_payment_counted_once,
    what_was_done_is_in_the_audit,
    the_audit_claims_no_more,
    what_has_no_reason_is_in_the_audit_too,
    a_link_command_is_answered_or_expired,
    versions_follow_each_other_and_the_last_one_runs,
)


def violations(work: Work) -> list[str]:
    """Return everything that does not hold, with the name of its check."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(work)]


def _made(work: Work) -> Counter[tuple[str, str, str]]:
    """How often a deed is done: by its kind, who did it and why."""
    made: Counter[tuple[str, str, str]] = Counter()
    made.update(("act", _name(event.actor), event.note) for event in work.events)
    made.update(("ask", asked.maker, asked.reason) for asked in work.requests)
    made.update(("decide", asked.checker, asked.note) for asked in work.requests if asked.state in _DECISIONS)
    made.update(("bulk", job.maker, job.reason) for job in work.jobs)
    made.update(("tell", command.asked_by, command.reason) for command in work.commands if command.verb != _CONFIGURE)
    made.update(("webhooks", _name(replay.actor), replay.reason) for replay in work.replays)
    return made


def _carried_out(work: Work, asked: Any) -> int:
    """How often a request was."""
    if asked.kind in _CHILDREN:
        key = f"staff,request-{asked.id}"
        made = [event for event in work.events if event.type == "Accepted"]
        return sum((event.key, event.original) == (key, asked.subject) for event in made)
    if asked.kind == "command_link":
        told = [command for command in work.commands if command.verb == asked.parameters["verb"]]
        return sum((command.asked_by, command.reason) == (asked.maker, asked.reason) for command in told)
    if asked.kind == "configure_link":
        told = [command for command in work.commands if command.verb == _CONFIGURE]
        decided = sum((command.asked_by, command.reason) == (asked.maker, asked.reason) for command in told)
        return decided or sum((kept.who, kept.why) == (asked.maker, asked.reason) for kept in work.versions)
    if asked.kind == "reverse_payments":
        return sum(str(job.id) == asked.subject and job.started_at is not None for job in work.jobs)
    note = f"{asked.reason} ({asked.checker} agreed)"
    return sum((event.payment, event.note) == (asked.subject, note) for event in work.events)


def _owed(work: Work) -> Counter[Entry]:
    """What the audit has to tell."""
    jobs = {job.id: job for job in work.jobs}
    owed = Counter(entry for asked in work.requests for entry in _told_of(asked))
    for job in (job for job in work.jobs if not job.checker and job.action != "reverse"):
        owed[Entry(job.maker, f"{job.action}_payments", str(job.id), "done", job.reason)] += 1
    for item in (item for item in work.items if item.result):
        job = jobs[item.job_id]
        owed[Entry(job.maker, f"{job.action}_payment", item.payment, item.result, job.reason)] += 1
    told = {job.reason for job in work.jobs} | {asked.reason for asked in work.requests}
    for event in (event for event in work.events if event.type in _ACTS):
        if event.note.partition(" (")[0] not in told:
            owed[Entry(_name(event.actor), _ACTS[event.type], event.payment, "done", event.note)] += 1
    for command in (command for command in work.commands if command.verb != _CONFIGURE):
        owed[Entry(command.asked_by, "link.command", command.subject, "asked", command.reason)] += 1
    owed.update(Entry(_name(replay.actor), "webhooks", "", "done", replay.reason) for replay in work.replays)
    return owed


def _told_of(asked: Any) -> Iterator[Entry]:
    """What the audit tells of a request."""
    yield Entry(asked.maker, asked.kind, asked.subject, "asked", asked.reason)
    if asked.state == "expired":
        yield Entry("ferryman", asked.kind, asked.subject, "expired", "")
    if asked.state in _DECISIONS:
        yield Entry(asked.checker, asked.kind, asked.subject, _DECISIONS[asked.state], asked.note)
    if asked.state in ("done", "failed"):
        yield Entry(asked.maker, asked.kind, asked.subject, asked.state, asked.reason)
    if (asked.kind, asked.state) == ("configure_link", "done"):
        yield Entry(asked.maker, "link.configure", asked.subject, "asked", asked.reason)


def _written(work: Work) -> Counter[Entry]:
    """What the audit tells; a refusal to one person is no claim."""
    kinds = {*_ACTS.values(), *_CHILDREN, *_LINKS, *(f"{act}s" for act in _ACTS.values())}
    written: Counter[Entry] = Counter()
    for record in work.records:
        if record.action in _REPLAYS and record.result == "done":
            written[Entry(record.who, "webhooks", "", "done", record.why)] += 1
        elif record.action in kinds and (record.result != "refused" or "job" in record.detail):
            written[Entry(record.who, record.action, record.subject, record.result, record.why)] += 1
    return written


def _name(actor: str) -> str:
    return actor.removeprefix("staff:")
