"""The lease: one holder, an epoch for each, and nothing by the wall clock (F1, F2)."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from processor import lease
from processor.lease import Candidate, Grant, Keeper
from processor.link.wishes import Wish
from processor.models import Lease, Link
from queueing.clock import boottime
from tests.stack import wait_until


@pytest.fixture
def database_connection(link: Link) -> Iterator["psycopg.Connection[Any]"]:
    with lease.connect(settings.DATABASE_DIRECT_URL) as opened:
        yield opened


def holder(name: str) -> Candidate:
    return Candidate("bank", name)


def renew() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE processor_lease SET renewals = renewals + 1")


def test_a_lease_nobody_ever_held_is_granted_at_once(database_connection: Any) -> None:
    grant = holder("a").look(database_connection, lambda: 100.0)

    assert grant == Grant("bank", 1, "a", 100.0 + lease.TTL_S - lease.MARGIN_S, Wish())


def test_a_lease_that_is_renewed_is_never_taken_over(database_connection: Any) -> None:
    holder("a").look(database_connection, lambda: 0)
    standby = holder("b")

    for second in range(60):
        assert standby.look(database_connection, partial(float, second)) is None
        renew()


def test_one_seen_unrenewed_for_its_time_and_a_margin_is(database_connection: Any) -> None:
    holder("a").look(database_connection, lambda: 0)
    standby = holder("b")

    assert standby.look(database_connection, lambda: 10.0) is None
    assert standby.look(database_connection, lambda: 16.4) is None
    grant = standby.look(database_connection, lambda: 16.5)

    assert grant is not None
    assert grant.epoch == 2


def test_a_standby_stopped_while_it_asks_has_seen_nothing_of_that_time(database_connection: Any) -> None:
    holder("a").look(database_connection, lambda: 0)
    standby, times = holder("b"), iter([1.0, 60.0])

    assert standby.look(database_connection, lambda: next(times)) is None
    renew()
    times = iter([60.5, 200.0])
    assert standby.look(database_connection, lambda: next(times)) is None
    assert standby.look(database_connection, lambda: 200.5) is None
    assert standby.look(database_connection, lambda: 206.5) is not None


def test_how_old_the_renewal_looks_to_the_database_does_not_matter(database_connection: Any) -> None:
    holder("a").look(database_connection, lambda: 0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE processor_lease SET renewed_at = renewed_at - interval '3 days'")

    assert holder("b").look(database_connection, lambda: 1.0) is None


def test_a_released_lease_is_granted_at_once(database_connection: Any) -> None:
    grant = holder("a").look(database_connection, lambda: 0)
    assert grant is not None
    Keeper(settings.DATABASE_DIRECT_URL, grant, lambda _: None, lambda _: None).release()

    assert holder("b").look(database_connection, lambda: 0.1) is not None


def test_of_two_standbys_one_gets_it(database_connection: Any) -> None:
    first, second = holder("b"), holder("c")
    holder("a").look(database_connection, lambda: 0)
    for standby in (first, second):
        standby.look(database_connection, lambda: 1.0)

    grants = [standby.look(database_connection, lambda: 9.0) for standby in (first, second)]

    assert [grant is not None for grant in grants] == [True, False]


class TestTheKeeper:
    @pytest.fixture
    def lost(self) -> list[str]:
        return []

    def keeper(self, lost: list[str], connection: Any, changed: Any = lambda _: None) -> Keeper:
        grant = holder("a").look(connection, boottime)
        assert grant is not None
        return Keeper(settings.DATABASE_DIRECT_URL, grant, lost.append, changed)

    def test_it_renews_and_moves_the_deadline(self, lost: list[str], database_connection: Any) -> None:
        keeper = self.keeper(lost, database_connection)
        deadline = keeper.deadline
        keeper.start()

        wait_until(lambda: keeper.deadline > deadline, 5, "a renewal")
        assert Lease.objects.get().renewals > 0
        assert keeper.holds
        keeper.release()
        assert not keeper.holds

    def test_it_tells_when_the_links_configuration_changes(self, lost: list[str], database_connection: Any) -> None:
        versions: list[int | None] = []
        keeper = self.keeper(lost, database_connection, lambda heard: versions.append(heard.version))
        keeper.start()
        wait_until(lambda: versions == [1], 5, "the first version")

        Link.objects.update(version=2)

        wait_until(lambda: versions == [1, 2], 5, "the second version")
        keeper.release()

    def test_another_holder_ends_it(self, lost: list[str], database_connection: Any) -> None:
        keeper = self.keeper(lost, database_connection)
        Lease.objects.update(epoch=2)
        keeper.start()

        wait_until(lambda: lost, 5, "the loss")
        keeper.release()

    def test_a_renewal_without_an_answer_stops_new_writes_at_once_and_an_answer_lets_them_go_on(
        self, lost: list[str], database_connection: Any
    ) -> None:
        keeper = self.keeper(lost, database_connection)
        url, keeper._url = keeper._url, "postgres://nobody@127.0.0.1:1/nowhere"
        keeper.start()

        wait_until(lambda: not keeper.may_begin, 2, "new writes stop")
        assert keeper.holds
        keeper._url = url
        wait_until(lambda: keeper.may_begin, 2, "new writes go on")
        keeper.release()

    def test_a_renewal_that_hangs_stops_new_writes_before_it_fails(
        self, lost: list[str], database_connection: Any
    ) -> None:
        keeper = self.keeper(lost, database_connection)
        keeper.start()
        wait_until(lambda: keeper._last_heard, 5, "it renews")

        with transaction.atomic():
            Lease.objects.select_for_update().get()
            wait_until(lambda: not keeper.may_begin, 2.5, "new writes stop")
            assert keeper._answered
            assert keeper.holds
        wait_until(lambda: keeper.may_begin, 2, "new writes go on")
        keeper.release()

    def test_without_the_database_it_ends_before_its_time_is_over(
        self, lost: list[str], database_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "TTL_S", 1.5)
        keeper = self.keeper(lost, database_connection)
        began = boottime()
        keeper._url = "postgres://nobody@127.0.0.1:1/nowhere"
        keeper.start()

        wait_until(lambda: lost, 5, "the loss")
        assert boottime() - began < 1.5
        assert not keeper.holds
        keeper.release()


def test_waiting_for_the_lease_can_be_stopped(link: Link) -> None:
    Lease.objects.update(released=False)
    asked = threading.Event()

    class Stop(Exception):
        """What Celery raises when it is told to stop."""

    def keep_waiting() -> None:
        if asked.is_set():
            raise Stop
        asked.set()

    with pytest.raises(Stop):
        lease.acquire(settings.DATABASE_DIRECT_URL, "bank", keep_waiting)
