"""Maker and checker: one asks, another agrees, it is done once; never the same person, never too late."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from staff import requests
from staff.audit import Actor, Subject
from staff.models import Record, Request
from staff.requests import Forbidden, Kind, NotDone, NotPossible, State
from tests.builders import PAN

DOOR = Subject("door", "front")


def anything(_permission: str) -> bool:
    return True


ALICE, BOB = Actor("alice", may=anything), Actor("bob", may=anything)
CAROL = Actor("carol", may=lambda permission: permission == "transactions.reverse_payment")


class Door:
    """What is opened, and how often."""

    opened = 0
    stuck = False

    def open(self, asked: Request) -> str:
        if self.stuck:
            raise NotDone("The door is stuck.")
        self.opened += 1
        return f"The {asked.subject} door is open."


@pytest.fixture
def door(database: None, monkeypatch: pytest.MonkeyPatch) -> Door:
    door = Door()
    monkeypatch.setattr(requests, "_kinds", dict(requests._kinds))
    requests.register(
        Kind(
            code="open_door",
            title="Open a door",  # type: ignore[arg-type]
            meaning="The door will be open.",  # type: ignore[arg-type]
            ask="transactions.reverse_payment",
            approve="transactions.approve_payment",
            carry_out=door.open,
            facts=lambda asked: [("Which", asked.subject)],
        )
    )
    return door


def ask(maker: Actor = ALICE, reason: str = "it is hot") -> Request:
    return requests.ask("open_door", DOOR, maker, reason)


def told() -> list[tuple[str, str]]:
    return list(Record.objects.order_by("id").values_list("who", "result"))


class TestAsking:
    def test_nothing_is_done_yet(self, door: Door) -> None:
        asked = ask()

        assert (asked.state, door.opened) == ("open", 0)
        assert told() == [("alice", "asked")]

    def test_the_same_is_asked_for_once(self, door: Door) -> None:
        ask()

        with pytest.raises(NotPossible, match="asked for already"):
            ask(BOB)

        assert told()[-1] == ("bob", "refused")

    def test_who_may_not_ask_does_not(self, door: Door) -> None:
        with pytest.raises(PermissionDenied):
            ask(Actor("mallory"))

        assert not Request.objects.exists()

    def test_a_card_number_in_the_reason_is_masked(self, door: Door) -> None:
        ask(reason=f"card {PAN}")

        assert PAN not in str([*Request.objects.values(), *Record.objects.values()])


class TestAgreeing:
    def test_a_second_person_agrees_and_it_is_done(self, door: Door) -> None:
        ended = requests.approve(ask().pk, BOB, "so it is")

        assert (ended.state, ended.checker, ended.note) == ("done", "bob", "so it is")
        assert (ended.outcome, door.opened) == ("The front door is open.", 1)
        assert told() == [("alice", "asked"), ("bob", "approved"), ("alice", "done")]

    def test_never_the_same_person(self, door: Door) -> None:
        asked = ask()

        with pytest.raises(Forbidden, match="somebody else"):
            requests.approve(asked.pk, ALICE, "quick")

        assert (Request.objects.get().state, door.opened) == ("open", 0)
        refusal = Record.objects.get(result="refused")
        assert (refusal.who, refusal.action, refusal.subject, refusal.why) == ("alice", "open_door", "front", "quick")
        assert refusal.detail["outcome"].startswith("You asked for this yourself")

    def test_never_without_the_permission(self, door: Door) -> None:
        asked = ask()

        with pytest.raises(PermissionDenied):
            requests.approve(asked.pk, CAROL)

    def test_never_twice(self, door: Door) -> None:
        asked = ask()
        requests.approve(asked.pk, BOB)

        with pytest.raises(NotPossible, match="decided already"):
            requests.approve(asked.pk, Actor("dewi", may=anything))

        assert door.opened == 1
        assert told()[-1] == ("dewi", "refused")

    def test_of_many_at_the_same_moment_one_wins(self, door: Door) -> None:
        asked = ask()

        def agree(number: int) -> str:
            try:
                return requests.approve(asked.pk, Actor(f"checker {number}", may=anything)).state
            except NotPossible:
                return "too late"
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            ends = sorted(pool.map(agree, range(4)))

        assert (ends, door.opened) == (["done", "too late", "too late", "too late"], 1)

    def test_never_after_it_expired(self, door: Door) -> None:
        asked = ask()
        Request.objects.update(expires_at=Now() - timedelta(seconds=1))

        with pytest.raises(NotPossible, match="expired"):
            requests.approve(asked.pk, BOB)

        requests.expire()
        assert (Request.objects.get().state, door.opened) == ("expired", 0)
        assert told()[-1] == ("ferryman", "expired")
        assert ask(BOB).state == "open"

    def test_what_is_not_possible_any_more_is_said(self, door: Door) -> None:
        door.stuck = True

        ended = requests.approve(ask().pk, BOB)

        assert (ended.state, ended.outcome) == ("failed", "The door is stuck.")
        assert told()[-1] == ("alice", "failed")

    def test_a_bug_in_doing_it_leaves_it_open(self, door: Door) -> None:
        asked = ask()

        def breaks(_: Any) -> str:
            raise ZeroDivisionError

        requests.register(replace(requests.kind_of(asked), carry_out=breaks))
        with pytest.raises(ZeroDivisionError):
            requests.approve(asked.pk, BOB)

        assert Request.objects.get().state == "open"


class TestSayingNo:
    def test_turned_down_is_not_done(self, door: Door) -> None:
        ended = requests.turn_down(ask().pk, BOB, "too cold")

        assert (ended.state, ended.note, door.opened) == ("turned_down", "too cold", 0)

    def test_nobody_turns_down_ones_own(self, door: Door) -> None:
        with pytest.raises(Forbidden):
            requests.turn_down(ask().pk, ALICE, "no")

        assert told()[-1] == ("alice", "refused")

    def test_who_asked_takes_it_back(self, door: Door) -> None:
        asked = ask()

        with pytest.raises(Forbidden):
            requests.withdraw(asked.pk, BOB)

        assert told()[-1] == ("bob", "refused")
        assert requests.withdraw(asked.pk, ALICE).state == "withdrawn"


class TestThePages:
    @pytest.fixture
    def clients(self, door: Door) -> dict[str, Client]:
        made = {}
        for name, role in (("opal", "operator"), ("sari", "supervisor"), ("vera", "viewer")):
            user = User.objects.create_user(name, is_staff=True)
            user.groups.set([Group.objects.get(name=role)])
            made[name] = Client()
            made[name].force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return made

    @pytest.fixture
    def asked(self, door: Door) -> Request:
        return ask(Actor("opal", may=anything))

    def test_the_list_shows_what_is_open_oldest_first(self, clients: dict[str, Client], asked: Request) -> None:
        second = requests.ask("open_door", Subject("door", "back"), BOB, "draught")
        requests.turn_down(requests.ask("open_door", Subject("door", "cellar"), BOB, "dark").pk, ALICE, "no")

        page = clients["sari"].get(reverse("admin:staff_request_changelist")).content.decode()

        assert page.index(f"request/{asked.pk}/") < page.index(f"request/{second.pk}/")
        assert "cellar" not in page
        every = clients["sari"].get(reverse("admin:staff_request_changelist"), {"state": "all"}).content.decode()
        assert "cellar" in every

    def test_a_supervisor_reads_what_would_happen_and_agrees(self, clients: dict[str, Client], asked: Request) -> None:
        address = reverse("admin:staff_request_change", args=[asked.pk])
        page = clients["sari"].get(address).content.decode()
        for said in ("Open a door", "The door will be open.", "opal", "it is hot", "Agree"):
            assert said in page

        decide = reverse("admin:staff_request_decide", args=[asked.pk])
        page = clients["sari"].post(decide, {"decision": "approve", "note": ""}, follow=True).content.decode()

        assert "The front door is open." in page
        assert "Agree, and do it now" not in page
        assert Request.objects.get().checker == "sari"

    def test_who_asked_is_offered_to_withdraw_and_nothing_else(
        self, clients: dict[str, Client], asked: Request
    ) -> None:
        page = clients["opal"].get(reverse("admin:staff_request_change", args=[asked.pk])).content.decode()

        assert "You asked for this yourself" in page
        assert "Withdraw" in page
        assert "Agree, and do it now" not in page

    def test_an_operators_agreement_is_403_and_written_down(self, clients: dict[str, Client], door: Door) -> None:
        asked = ask(Actor("somebody", may=anything))
        decide = reverse("admin:staff_request_decide", args=[asked.pk])

        assert clients["opal"].post(decide, {"decision": "approve"}).status_code == 403
        assert clients["vera"].post(decide, {"decision": "approve"}).status_code == 403
        assert door.opened == 0
        assert Record.objects.filter(result="refused", subject=decide).count() == 2

    def test_agreeing_to_ones_own_is_403_says_why_and_is_written_down(
        self, clients: dict[str, Client], door: Door
    ) -> None:
        asked = ask(Actor("sari", may=anything))
        decide = reverse("admin:staff_request_decide", args=[asked.pk])

        response = clients["sari"].post(decide, {"decision": "approve"})

        assert response.status_code == 403
        assert "somebody else has to agree. Nothing was changed." in response.content.decode()
        assert (Request.objects.get().state, door.opened) == (State.OPEN, 0)
        assert Record.objects.get(result="refused", action="open_door").address == "127.0.0.1"

    def test_turning_down_wants_a_reason(self, clients: dict[str, Client], asked: Request) -> None:
        decide = reverse("admin:staff_request_decide", args=[asked.pk])

        page = clients["sari"].post(decide, {"decision": "turn_down", "note": " "}).content.decode()
        assert "Say why" in page
        assert Request.objects.get().state == State.OPEN

        clients["sari"].post(decide, {"decision": "turn_down", "note": "not today"})
        assert Request.objects.get().state == State.TURNED_DOWN

    def test_looking_decides_nothing_and_leads_to_the_request(self, clients: dict[str, Client], asked: Request) -> None:
        decide = reverse("admin:staff_request_decide", args=[asked.pk])

        response = clients["sari"].get(decide)

        assert response["Location"] == reverse("admin:staff_request_change", args=[asked.pk])
        assert Request.objects.get().state == State.OPEN
