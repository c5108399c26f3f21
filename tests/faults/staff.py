"""Staff at work under faults: a few people, each on a thread of their own, until the day ends.

Owns who is there and how the day ends; what they do is `errands`'. What must hold of it is `deeds`'.
"""

import random
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.faults.deeds import Work, violations
from tests.faults.errands import ERRANDS, resume
from tests.faults.member import Member, Silence
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

#: seconds between two errands of one person, on average
_PACE_S: Final = 3.0
_EVENTS: Final = """
SELECT e.payment_id::text AS payment, e.type, e.actor, coalesce(e.data->>'note', e.data->>'evidence', '') AS note,
    p.idempotency_key AS key, p.original->>'payment_id' AS original
FROM transactions_event e JOIN transactions_payment p ON p.id = e.payment_id
WHERE starts_with(e.actor, 'staff:') AND e.type <> 'Recalled'"""
_COMMANDS: Final = """
SELECT c.id, c.verb, c.asked_by, c.reason, c.state, c.answer, l.id::text AS subject
FROM processor_linkcommand c JOIN processor_link l ON l.name = c.link"""
_LINKS: Final = """
SELECT l.name, l.version, s.version AS running FROM processor_link l JOIN processor_linkstatus s ON s.link = l.name"""
_RECORDS: Final = "SELECT who, action, subject, result, why, detail FROM staff_record"
_ITEMS: Final = "SELECT job_id, payment_id::text AS payment, result, outcome FROM transactions_jobitem"
_REPLAYS: Final = "SELECT actor, reason FROM transactions_webhookreplay"
#: what still has to come to its end once the staff have gone home
_UNDONE: Final = """
SELECT 1 WHERE EXISTS (SELECT 1 FROM staff_request WHERE state = 'open')
    OR EXISTS (SELECT 1 FROM transactions_job WHERE started_at IS NOT NULL AND ended_at IS NULL)
    OR EXISTS (SELECT 1 FROM processor_linkcommand WHERE state IN ('open', 'running'))
    OR EXISTS (SELECT 1 FROM processor_link l JOIN processor_linkstatus s ON s.link = l.name
               WHERE s.version <> l.version)"""
_HELD: Final = "SELECT 1 FROM processor_lease WHERE link = 'bank' AND wanted <> 'open'"


@dataclass
class Staff:
    """Everybody who works in the back office of one run."""

    ferry: ProxiedFerry
    seed: int
    #: errands that broke: a defect of ours, told in the end
    failed: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.members: list[Member] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin the day."""
        for role, login in self.ferry.logins.items():
            if role in ERRANDS:
                dice = random.Random(f"{self.seed}/{login['user']}")
                self.members.append(Member(login["user"], login["password"], role, self.ferry.url, dice))
        self._threads = [threading.Thread(target=self._work, args=(one,), daemon=True) for one in self.members]
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> None:
        """Send them home; the link is left open, as they found it."""
        self._stopping.set()
        threads = self._threads
        wait_until(lambda: not any(thread.is_alive() for thread in threads), within_s, "the staff have gone home")
        wait_until(self._is_open, within_s, "the link is resumed")

    def wait_until_done(self, within_s: float) -> None:
        """Wait until nothing of what they began is left open."""
        wait_until(lambda: not self.ferry.sql(_UNDONE), within_s, "all that staff began has come to its end")

    def violations(self) -> list[str]:
        """Return everything that does not hold, with the name of its check."""
        odd = [f"staff: {what}" for member in self.members for what in member.odd]
        return odd + [f"staff: {what}" for what in self.failed] + violations(self.work())

    def work(self) -> Work:
        """Return what they did, by their own account and by the database's."""
        sql = self.ferry.sql
        return Work(
            deeds=[deed for member in self.members for deed in member.deeds],
            requests=sql("SELECT * FROM staff_request ORDER BY id"),
            records=sql(_RECORDS),
            events=sql(_EVENTS),
            jobs=sql("SELECT * FROM transactions_job ORDER BY id"),
            items=sql(_ITEMS),
            commands=sql(_COMMANDS),
            versions=sql("SELECT link, version, who, why FROM processor_linkversion ORDER BY link, version"),
            links=sql(_LINKS),
            replays=sql(_REPLAYS),
        )

    def table(self) -> str:
        """Return what they pressed and what they were told."""
        sums: dict[str, Counter[str]] = {}
        for deed in (deed for member in self.members for deed in member.deeds):
            sums.setdefault(deed.what, Counter()).update(done=deed.done, refused=deed.refused, lost=deed.lost)
        work = self.work()
        ends = {
            "requests": Counter(asked.state for asked in work.requests),
            "payments of jobs": Counter(item.result for item in work.items),
            "commands": Counter(command.state for command in work.commands),
            "versions": Counter(kept.link for kept in work.versions),
        }
        lines = [f"{'staff':32}{'done':>6}{'refused':>10}{'no answer':>10}"]
        lines += [f"{what:32}{n['done']:6}{n['refused']:10}{n['lost']:10}" for what, n in sorted(sums.items())]
        lines += [f"{what}: {dict(sorted(counted.items()))}" for what, counted in ends.items()]
        return "\n".join(lines)

    def _work(self, member: Member) -> None:
        errands = ERRANDS[member.role]
        while not self._stopping.wait(member.dice.expovariate(1 / _PACE_S)):
            try:
                member.dice.choices(list(errands), list(errands.values()))[0](member)
            except Silence:
                continue  # they turn to something else
            except Exception as error:  # noqa: BLE001  (what it is has to be told in the end)
                self.failed.append(f"{member.name} broke off: {error!r}")

    def _is_open(self) -> bool:
        if not self.ferry.sql(_HELD):
            return True
        if not self.ferry.sql("SELECT 1 FROM processor_linkcommand WHERE state IN ('open', 'running')"):
            with suppress(Silence):
                resume(self.members[0])
        return False
