"""The database's time as a process knows it between two looks."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from queueing.clock import Clock, process_age
from tests.builders import NOON


@dataclass
class Times:
    """A steady clock, a wall clock and the database's, in seconds; each look at the last takes its time."""

    steady: float = 1000.0
    wall: float = NOON.timestamp()
    database: datetime = NOON
    takes_s: float = 0.0
    looks: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.steady, lambda: self.wall)

    def look(self) -> datetime:
        self.looks.append(self.database)
        self.steady += self.takes_s
        return self.database

    def now(self) -> datetime:
        return self.clock.now(self.look)


def test_it_is_the_databases_whatever_this_machine_says() -> None:
    times = Times(wall=NOON.timestamp() - 3 * 86_400)
    assert times.now() == NOON


def test_between_two_looks_it_goes_on_by_the_steady_clock() -> None:
    times = Times()
    times.now()
    times.steady += 4
    times.wall += 86_400
    assert times.now() == NOON + timedelta(seconds=4)
    assert len(times.looks) == 1


def test_a_database_set_anew_is_followed_within_seconds() -> None:
    times = Times()
    times.now()
    times.steady += 6
    times.database = NOON - timedelta(hours=1)
    assert times.now() == NOON - timedelta(hours=1)


def test_a_slow_answer_changes_nothing_that_a_prompt_one_said() -> None:
    times = Times()
    times.now()
    times.steady += 6
    times.takes_s = 3
    times.database = NOON + timedelta(seconds=6)
    assert times.now() == NOON + timedelta(seconds=9)


def test_before_the_first_look_it_is_this_machines() -> None:
    assert Times().clock.estimate() == NOON


def test_a_process_knows_how_long_ago_it_was_started() -> None:
    asked = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-c", "from queueing.clock import process_age; print(process_age().total_seconds())"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert 0.0 < float(told.stdout) < time.monotonic() - asked + 0.02
    assert process_age().total_seconds() > float(told.stdout)
