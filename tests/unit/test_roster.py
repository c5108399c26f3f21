"""Which host is connected to next: the first preferred, the others in their order, and back again."""

from hypothesis import given
from hypothesis import strategies as st

from processor.link.roster import Roster


def on_the_backup() -> Roster:
    roster = Roster(2, failback_s=60)
    roster.ended(came_up=False)
    roster.came_up(100)
    assert roster.turn == 1
    return roster


def test_hosts_that_do_not_come_up_are_tried_in_turn_and_a_round_is_told_from_a_next_one() -> None:
    roster = Roster(3, failback_s=60)

    assert [(roster.ended(came_up=False), roster.turn) for _ in range(4)] == [
        (True, 1),
        (True, 2),
        (False, 0),
        (True, 1),
    ]


def test_a_host_that_was_lost_is_tried_again_before_another() -> None:
    roster = on_the_backup()
    roster.ended(came_up=True)
    assert roster.turn == 1


def test_the_first_is_looked_for_after_a_while_and_gets_the_next_turn_when_it_is_there() -> None:
    roster = on_the_backup()
    assert not roster.wants_to_look(159)
    assert roster.wants_to_look(160)

    roster.looked(160, is_there=True)
    assert roster.is_moving
    assert not roster.ended(came_up=True)

    assert (roster.turn, roster.is_moving) == (0, False)


def test_a_first_host_that_is_not_there_is_looked_for_ever_less_often() -> None:
    roster = on_the_backup()
    roster.looked(160, is_there=False)

    assert not roster.wants_to_look(279)
    assert roster.wants_to_look(280)


def test_one_that_takes_connections_and_does_not_come_up_makes_room_again() -> None:
    roster = on_the_backup()
    roster.looked(160, is_there=True)
    roster.ended(came_up=True)

    assert roster.ended(came_up=False)
    assert roster.turn == 1


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=50))
def test_the_turn_is_always_one_of_the_hosts(count: int, story: list[tuple[bool, bool]]) -> None:
    roster = Roster(count, failback_s=1)
    for now, (comes_up, is_there) in enumerate(story):
        if comes_up:
            roster.came_up(now)
        if roster.wants_to_look(now + 10):
            roster.looked(now + 10, is_there=is_there)
        roster.ended(came_up=comes_up)
        assert 0 <= roster.turn < count
