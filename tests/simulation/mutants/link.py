"""Defects of the link worker and its statements."""

from typing import Any

from tests.simulation import stage
from tests.simulation.mutants.registry import Put, model_of, mutant


@mutant
def take_without_epoch_check(put: Put) -> None:
    """A holder that lost its lease goes on taking (F1)."""
    from processor import statements as sql  # noqa: PLC0415
    from processor.lease import Keeper  # noqa: PLC0415

    model_of(put, sql.TAKE, _with_lease_of_the_taker)
    put(Keeper, "holds", property(lambda _: True))


def _with_lease_of_the_taker(model: Any) -> Any:
    def changed(tables: Any, p: Any) -> Any:
        lease = tables.one["lease"]
        tables.one["lease"] = lease.changed(epoch=p["epoch"], released=False)
        try:
            return model(tables, p)
        finally:
            tables.one["lease"] = lease

    return changed


@mutant
def write_without_looking_at_the_lease(put: Put) -> None:
    """A holder writes after its deadline (F2)."""
    from processor.lease import Keeper  # noqa: PLC0415

    put(Keeper, "holds", property(lambda _: True))
    put(Keeper, "deadline", property(lambda _: float("inf"), lambda *_: None), of_instances=True)


@mutant
def standby_does_not_wait(put: Put) -> None:
    """A standby takes a lease that is still renewed (F2)."""
    from processor import lease  # noqa: PLC0415

    put(lease, "TTL_S", 6.0)
    put(lease, "MARGIN_S", -5.9)


@mutant
def resend_on_reconnect(put: Put) -> None:
    """What was in flight when the connection broke is written again on the next one (M1)."""
    from processor.link.machine import Machine  # noqa: PLC0415
    from processor.session import Session  # noqa: PLC0415

    lost: list[Any] = []

    def lose(self: Any, cause: Any) -> None:
        lost.extend(self.window.messages)
        usual(self, cause)

    def went_up(self: Any) -> None:
        came_up(self)
        again, lost[:] = lost[:2], []
        self._do(self._machine.send(again, stage_now()))

    def stage_now() -> Any:
        from processor import session  # noqa: PLC0415

        return session._now()

    usual, came_up = Machine._lose, Session._went_up
    put(Machine, "_lose", lose)
    put(Session, "_went_up", went_up)


@mutant
def match_by_order_of_arrival(put: Put) -> None:
    """The next answer belongs to the oldest message in flight."""
    from processor.link import machine  # noqa: PLC0415
    from processor.link.events import Answered  # noqa: PLC0415

    usual = machine.Machine._read

    def read(self: Any, body: bytes, now: Any) -> None:
        if self.window and body[1:2] in b"124" and body[2:3] in b"13":
            sent = self.window.answered(next(iter(self.window.keys)))
            self._events.append(Answered(sent.message, body, 0.0))
        else:
            usual(self, body, now)

    put(machine.Machine, "_read", read)


@mutant
def drop_an_unmatched_answer(put: Put) -> None:
    """An answer nobody waits for is thrown away."""
    from processor.filing import Filer  # noqa: PLC0415

    put(Filer, "stray", lambda *_: None)


@mutant
def nobody_is_silent_when_the_connection_breaks(put: Put) -> None:
    """What is in flight when the connection is lost is forgotten."""
    from processor.filing import Filer  # noqa: PLC0415

    usual = Filer.unanswered

    def unanswered(self: Any, event: Any, *rest: Any) -> None:
        if event.cause.value != "connection_lost":
            usual(self, event, *rest)

    put(Filer, "unanswered", unanswered)
    _no_orphans(put)


@mutant
def no_orphans(put: Put) -> None:
    """A new holder declares nothing silent of what the one before it took."""
    _no_orphans(put)


def _no_orphans(put: Put) -> None:
    from processor import statements as sql  # noqa: PLC0415

    model_of(put, sql.FILE_ORPHANS, lambda _: lambda *_: [])


@mutant
def silence_without_holding(put: Put) -> None:
    """The recovery job declares silence for what is taken, as only the link's holder may (F3)."""
    from processor import statements as sql  # noqa: PLC0415
    from transactions import recovery  # noqa: PLC0415

    usual = recovery.recover

    def recover() -> None:
        stage.Stage.current.tables.run(sql.FILE_ORPHANS, {"link": "bank", "epoch": 10**6, "known": []})
        _give_back(stage.Stage.current.tables)
        usual()

    put(recovery, "recover", recover)


def _give_back(tables: Any) -> None:
    """What was declared silent counts as never sent."""
    for frame in list(tables.inbound.values()):
        if frame.cause == "taken_over":
            entry = tables.entries[frame.entry_id]
            tables.entries[entry.id] = entry.changed(state="dispatched")
            del tables.inbound[frame.id]


@mutant
def untake_what_was_written(put: Put) -> None:
    """What waits for its answer as a session ends is given back as if it had not been written."""
    from processor.filing import Filer  # noqa: PLC0415
    from processor.taking import Taker  # noqa: PLC0415

    silent: list[Any] = []
    usual = Taker.give_back

    def unanswered(self: Any, event: Any, taken: Any) -> None:
        silent.append(taken)

    async def give_back(self: Any, *, failed: bool) -> None:
        self._in_hand.extend(silent)
        silent.clear()
        await usual(self, failed=failed)

    put(Filer, "unanswered", unanswered)
    put(Taker, "give_back", give_back)


@mutant
def only_a_notice_moves_the_date(put: Put) -> None:
    """What answers tell of the business date is not heard: a cut-over lost on the wire is lost for good."""
    from processor.link.business_day import BusinessDay  # noqa: PLC0415

    put(BusinessDay, "hear", lambda *_: None)


@mutant
def a_cut_over_counts_twice(put: Put) -> None:
    """The notice of a day that an answer told before moves the date once more."""
    from processor import statements as sql  # noqa: PLC0415

    def changed(model: Any) -> Any:
        def cut_over(tables: Any, p: Any) -> Any:
            tables.one["status"] = tables.one["status"].changed(business_date_told_at=None, last_cut_over="")
            return model(tables, p)

        return cut_over

    model_of(put, sql.CUT_OVER, changed)


@mutant
def send_what_expired_in_hand(put: Put) -> None:
    """What expired between take and write is written all the same (M13)."""
    from processor.taking import Taker  # noqa: PLC0415

    put(Taker, "next", lambda self, limit, *_: [self._in_hand.popleft() for _ in range(min(limit, self.in_hand))])
    _take_expired(put)


@mutant
def write_what_is_in_flight(put: Put) -> None:
    """A repeat is written while an earlier write of the same message waits for its answer."""
    from processor.taking import Taker  # noqa: PLC0415

    usual = Taker.next
    put(Taker, "next", lambda self, limit, now, _: usual(self, limit, now, ()))


@mutant
def write_while_the_breaker_is_open(put: Put) -> None:
    """An open breaker is shown and stops nothing."""
    from processor.link.breaker import Breaker  # noqa: PLC0415

    put(Breaker, "room", lambda self, window: window)


@mutant
def pause_and_go_on(put: Put) -> None:
    """Staff are told that payments are stopped, and they go on."""
    from processor.course import Course  # noqa: PLC0415
    from processor.links import LiveLink  # noqa: PLC0415

    put(Course, "lowest", property(lambda _: 0))
    put(LiveLink, "lowest", property(lambda _: 0))


@mutant
def leave_what_was_begun(put: Put) -> None:
    """A command whose worker died is left running for ever."""
    from processor import statements as sql  # noqa: PLC0415

    def changed(model: Any) -> Any:
        def claim(tables: Any, p: Any) -> Any:
            running = {i: c for i, c in tables.commands.items() if c.state == "running"}
            claimed = model(tables, p)
            tables.commands |= running
            return claimed

        return claim

    model_of(put, sql.CLAIM_COMMAND, changed)


@mutant
def stay_with_the_second_host(put: Put) -> None:
    """Nobody looks whether the first host is back."""
    from processor.link.roster import Roster  # noqa: PLC0415

    put(Roster, "wants_to_look", lambda *_: False)


@mutant
def take_what_expired(put: Put) -> None:
    """The take does not look at the time (M13)."""
    _take_expired(put)


def _take_expired(put: Put) -> None:
    from tests.simulation import queue_model  # noqa: PLC0415
    from transactions import recovery  # noqa: PLC0415

    put(queue_model, "_is_over", lambda *_: False)
    put(recovery, "expire_batch", lambda: 0)
