"""The links' pages: buttons that ask why, a log that refreshes itself, and a configuration that is agreed to."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from processor import links
from processor.models import Link, LinkCommand, LinkEvent, LinkVersion
from staff import requests
from staff.audit import Actor
from staff.models import Request
from tests.integration.conftest import Hand

SUPERVISOR = Actor("sari", may=lambda _: True)


@pytest.fixture
def operator(hand: Hand) -> Client:
    user = User.objects.create_user("budi", is_staff=True)
    user.groups.set([Group.objects.get(name="operator")])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(name: str, *more: Any) -> str:
    return reverse(f"admin:{name}", args=[Link.objects.get().pk, *more])


def filled_in(client: Client, **changes: Any) -> dict[str, Any]:
    """The configuration's form as it is shown, with some of it changed."""
    form = client.get(page("link_configure")).context["form"]
    given = {name: value for name, value in form.initial.items() if value is not None and value is not False}
    return {**given, "version": "1", "reason": "the bank asked", **changes}


def marked(client: Client) -> str:
    """Return what the page of a looked-at configuration sends back."""
    looked: Any = client.post(page("link_configure"), filled_in(client, window="8"))
    return str(dict(looked.context["kept"])["looked_at"])


class TestTelling:
    def test_a_button_says_what_will_happen_and_asks_why(self, operator: Client) -> None:
        shown = operator.get(page("link_tell", "pause"))

        assert "Reversals go on." in shown.content.decode()
        assert operator.post(page("link_tell", "pause"), {"reason": ""}).status_code == 200
        assert not LinkCommand.objects.exists()

        operator.post(page("link_tell", "pause"), {"reason": "the bank called"})
        command = LinkCommand.objects.get()
        assert (command.verb, command.asked_by, command.reason) == ("pause", "budi", "the bank called")

    @pytest.mark.parametrize("word", ["close", "sign_off"])
    def test_a_dangerous_one_waits_for_a_second_person(self, operator: Client, word: str) -> None:
        operator.post(page("link_tell", word), {"reason": "the bank called"})

        asked = Request.objects.get()
        assert not LinkCommand.objects.exists()
        assert "waits for a second person" in operator.get(page("processor_link_change")).content.decode()

        requests.approve(asked.pk, SUPERVISOR)
        assert LinkCommand.objects.get().verb == word

    def test_which_host_is_chosen_from_those_there_are(self, operator: Client) -> None:
        assert operator.post(page("link_tell", "fail_over"), {"reason": "slow", "endpoint": "2"}).status_code == 200
        assert not Request.objects.exists()

        operator.post(page("link_tell", "fail_over"), {"reason": "slow", "endpoint": "1"})
        assert Request.objects.get().parameters == {"verb": "fail_over", "parameters": {"endpoint": 1}}

    def test_the_log_says_what_came_of_it(self, operator: Client) -> None:
        operator.post(page("link_tell", "echo"), {"reason": "to see"})
        LinkCommand.objects.update(
            state="done",
            answer="The bank answered with code 00 after 3 ms.",
            detail={"received": {"mti": "0810", "fields": {"39": "00", "70": "301"}}},
        )

        told = operator.get(page("link_commands")).json()

        rows = told["parts"]["commands"]
        assert "code 00 after 3 ms" in rows
        assert "echo-answer" in rows or "echo answer" in rows
        assert told["is_up"] is True


class TestLooking:
    def test_each_layer_says_how_often_it_is_looked_at_also_while_one_looks(self, operator: Client) -> None:
        assert "10 s" in operator.get(page("processor_link_change")).content.decode()

        links.configure("bank", {"health_process_s": 7.5})

        assert "7.5 s" in operator.get(page("link_commands")).json()["parts"]["health"]

    def test_older_steps_are_behind_the_newest_and_each_names_its_holder(self, operator: Client) -> None:
        at = timezone.now()
        LinkEvent.objects.bulk_create(
            LinkEvent(link="bank", epoch=1 + number // 20, holder=f"host:{number}", at=at, state="up")
            for number in range(30)
        )

        newest = operator.get(page("processor_link_change"))
        older = operator.get(page("processor_link_change"), {"before": newest.context["older"]})

        assert [step.holder for step, *_ in newest.context["history"]] == [f"host:{n}" for n in range(29, 5, -1)]
        assert [step.holder for step, *_ in older.context["history"]] == [f"host:{n}" for n in range(5, -1, -1)]
        assert "host:3" in older.content.decode()
        assert older.context["older"] is None
        assert operator.get(page("processor_link_change"), {"before": "x"}).status_code == 200


class TestConfiguring:
    def test_what_changes_is_shown_then_asked_then_decided_by_the_worker(self, operator: Client) -> None:
        looked = operator.post(page("link_configure"), filled_in(operator, window="8"))
        assert looked.context["changes"] == [("Window", "64", "8")]
        assert not Request.objects.exists()

        mark = dict(looked.context["kept"])["looked_at"]
        operator.post(page("link_configure"), filled_in(operator, window="8", looked_at=mark))
        asked = Request.objects.get()
        assert asked.parameters["changed"] == [["window", 64, 8]]

        requests.approve(asked.pk, SUPERVISOR)
        assert LinkCommand.objects.get().verb == "configure"

    def test_what_was_not_looked_at_is_shown_first(self, operator: Client) -> None:
        mark = marked(operator)

        operator.post(page("link_configure"), filled_in(operator, window="9", looked_at=mark))

        assert not Request.objects.exists()

    def test_what_is_wrong_is_said_beside_its_field(self, operator: Client) -> None:
        shown = operator.post(page("link_configure"), filled_in(operator, window="0", endpoints="nowhere"))
        assert {"endpoints"} <= set(shown.context["form"].errors)

        shown = operator.post(page("link_configure"), filled_in(operator, time_zone="Mars/Olympus", window="0"))
        assert {"time_zone", "window"} <= set(shown.context["form"].errors)
        assert not Request.objects.exists()

    def test_where_nobody_holds_the_link_it_stands_once_it_is_agreed_to(self, operator: Client) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE processor_lease SET released = true")
        mark = marked(operator)
        operator.post(page("link_configure"), filled_in(operator, window="8", looked_at=mark))

        done = requests.approve(Request.objects.get().pk, SUPERVISOR)

        assert done.state == "done"
        assert links.read("bank").window == 8  # type: ignore[union-attr]
        assert LinkVersion.objects.get(version=2).who == "budi"

    def test_an_old_version_is_shown_and_gone_back_to(self, operator: Client) -> None:
        links.configure("bank", {"window": 8})

        assert "Go back to this" in operator.get(page("link_version", 1)).content.decode()
        form = operator.get(page("link_configure") + "?version=1").context["form"]
        assert form.initial["window"] == 64
