"""Beat's own times: nobody who sets a clock makes it fall silent, or what it says stale."""

import pytest
from celery.beat import ScheduleEntry

from config.celery import app
from queueing import clock


@pytest.fixture
def entry() -> ScheduleEntry:
    return ScheduleEntry(name="recover", app=app, **app.conf.beat_schedule["recover"])


def test_it_is_due_by_a_clock_that_nobody_sets(entry: ScheduleEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "now", lambda: pytest.fail("beat asked for this machine's wall clock"))
    assert not entry.is_due()[0]

    later = clock.boottime() + 10
    monkeypatch.setattr(clock, "boottime", lambda: later)

    assert entry.is_due()[0]


def test_what_it_says_is_not_judged_by_the_clock_of_who_hears_it(entry: ScheduleEntry) -> None:
    options = entry.options or {}

    assert "expires" not in options
    assert options["expiration"] > 0
