"""Defects of the queue and of what clients ask."""

from datetime import timedelta
from typing import Any

from tests.simulation.mutants.registry import Put, model_of, mutant


@mutant
def promote_a_lane_twice(put: Put) -> None:
    """Leaving a lane lets two go on (Q2)."""
    from queueing import lanes  # noqa: PLC0415

    model_of(put, lanes._PROMOTE, lambda model: lambda tables, p: [*model(tables, p), *model(tables, p)])


@mutant
def never_promote(put: Put) -> None:
    """Whoever is blocked in a lane stays there (L1)."""
    from queueing import lanes  # noqa: PLC0415

    model_of(put, lanes._PROMOTE, lambda _: lambda *_: [])


@mutant
def nothing_ever_wakes(put: Put) -> None:
    """What waits for its time waits for ever (L1)."""
    from queueing import statements as sql  # noqa: PLC0415

    model_of(put, sql.WAKE, lambda _: lambda *_: [])


@mutant
def wait_by_a_clock_that_is_set_back(put: Put) -> None:
    """A database's clock that is set back by days makes a reversal wait for days."""
    from queueing import queue  # noqa: PLC0415

    put(queue, "_longest_wait", lambda: timedelta(days=9999))


@mutant
def no_recovery(put: Put) -> None:
    """Nobody looks for what was dropped (Q1)."""
    from transactions import recovery  # noqa: PLC0415

    put(recovery, "recover", lambda: None)


@mutant
def two_accepts_of_one_key(put: Put) -> None:
    """Two requests at once with one key become two payments (I1)."""
    from transactions import store  # noqa: PLC0415

    model_of(put, store._ACCEPT, lambda model: lambda tables, p: (tables.keys.clear(), model(tables, p))[1])


@mutant
def another_body_is_a_replay(put: Put) -> None:
    """The same key with another body is answered with the first payment (I2)."""
    from transactions import accepting  # noqa: PLC0415

    put(accepting, "fingerprint_of", lambda _: "always the same")


@mutant
def cancel_after_take(put: Put) -> None:
    """A payment is cancelled though its frame was taken (M12)."""
    from transactions import asking  # noqa: PLC0415

    put(asking, "NOT_TAKEN", ("waiting", "blocked", "ready", "dispatched", "held", "taken", "answered"))


@mutant
def answer_before_the_commit(put: Put) -> None:
    """A client is told 202 although the commit failed (I3)."""
    from transactions import store  # noqa: PLC0415

    usual = store.accept

    def accept(*args: Any, **kwargs: Any) -> bool:
        try:
            return usual(*args, **kwargs)
        except Exception:  # noqa: BLE001
            return True

    put(store, "accept", accept)
