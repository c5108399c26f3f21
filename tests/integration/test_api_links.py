"""Links over the API: how they are, what their workers are told, and their configuration."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from processor import links
from processor.models import LinkCommand, LinkVersion
from staff.models import Record
from tests.builders import PAN
from tests.integration.conftest import Hand
from tests.integration.test_api import is_problem, key_of
from transactions.api import auth, throttle


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    auth._remembered.clear()
    links._remembered_live.clear()
    throttle._buckets.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'operate')}"})


def put(api: Client, configuration: Any, version: int | None = 1) -> Any:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    body = json.dumps(configuration)
    return api.put("/api/v1/links/bank/config", body, content_type="application/json", headers=headers)


def command(api: Client, name: str = "bank", **body: Any) -> Any:
    body = {"reason": "the bank called", **body}
    return api.post(f"/api/v1/links/{name}/commands", json.dumps(body), content_type="application/json")


def configuration(api: Client, **changes: Any) -> dict[str, Any]:
    values = api.get("/api/v1/links/bank").json()["configuration"]["values"]
    return {**values, "reason": "they asked for it", **changes}


class TestLinks:
    def test_each_says_how_it_is_and_how_it_is_configured(self, api: Client) -> None:
        (link,) = api.get("/api/v1/links").json()["items"]
        answer = api.get("/api/v1/links/bank")

        assert answer["ETag"] == '"1"'
        assert (link["name"], link["up"], link["wanted"], link["epoch"]) == ("bank", True, "open", 1)
        assert link["configuration"]["values"]["endpoints"] == [{"host": "127.0.0.1", "port": 1}]
        assert (link["health"]["state"], link["health"]["score"]) == ("ACTIVE", 100)
        assert (link["configuration"]["version"], link["configuration"]["in_use"]) == (1, 1)

    def test_one_that_is_not_there_is_404(self, api: Client) -> None:
        assert is_problem(api.get("/api/v1/links/nowhere"), 404, "not-found")
        assert is_problem(command(api, "nowhere", command="echo"), 404, "not-found")

    @pytest.mark.parametrize("scope", ["read", "pay"])
    def test_a_key_without_the_scope_sees_and_asks_nothing(self, hand: Hand, scope: str) -> None:
        api = Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, scope)}"})

        assert is_problem(api.get("/api/v1/links"), 403, "lacking-scope")
        assert is_problem(command(api, command="close"), 403, "lacking-scope")
        assert not LinkCommand.objects.exists()


class TestCommands:
    def test_one_is_asked_and_looked_at_where_its_location_says(self, api: Client) -> None:
        asked = command(api, command="pause")

        assert (asked.status_code, asked.json()["state"]) == (202, "open")
        found = api.get(asked["Location"]).json()
        assert (found["command"], found["reason"]) == ("pause", "the bank called")
        assert found["asked_by"].startswith("api:")
        record = Record.objects.get(action="link.command")
        assert (record.who, record.why, record.result) == (found["asked_by"], "the bank called", "asked")

    def test_a_card_number_in_a_reason_is_masked(self, api: Client) -> None:
        command(api, command="pause", reason=f"the card {PAN}")

        assert LinkCommand.objects.get().reason == "the card 411111******1111"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"command": "fail_over", "endpoint": 2}, "/endpoint"),
            ({"command": "fail_over"}, "/endpoint"),
            ({"command": "send", "message": "sign_off"}, "/message"),
            ({"command": "pause", "endpoint": 1}, "/command"),
            ({"command": "configure"}, "/command"),
            ({"command": "echo", "reason": ""}, "/reason"),
        ],
    )
    def test_what_does_not_fit_is_422_and_asks_nothing(self, api: Client, body: Any, pointer: str) -> None:
        answer = command(api, **body)

        assert is_problem(answer, 422, "invalid")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert not LinkCommand.objects.exists()


class TestConfiguration:
    def test_a_link_that_is_held_lets_its_worker_decide(self, api: Client) -> None:
        answer = put(api, configuration(api, window=8))

        assert answer.status_code == 202
        asked = LinkCommand.objects.get()
        assert (asked.verb, asked.parameters["configuration"]["window"]) == ("configure", 8)
        assert links.read("bank").version == 1  # type: ignore[union-attr]

    def test_a_link_that_nobody_holds_has_it_at_once_and_it_is_kept(self, api: Client) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE processor_lease SET released = true")

        answer = put(api, configuration(api, window=8))

        assert (answer.status_code, answer["ETag"]) == (200, '"2"')
        kept = LinkVersion.objects.get(version=2)
        assert (kept.changed, kept.why) == ([["window", 64, 8]], "they asked for it")
        assert kept.who.startswith("api:")

    def test_what_stands_already_is_answered_and_asks_nothing(self, api: Client) -> None:
        answer = put(api, configuration(api))

        assert (answer.status_code, answer["ETag"]) == (200, '"1"')
        assert not LinkCommand.objects.exists()
        assert links.read("bank").version == 1  # type: ignore[union-attr]

    def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_changed(self, api: Client) -> None:
        answer = put(api, configuration(api, terminal_id="ü", time_zone="Mars/Olympus", echo_timeout_s=100))

        assert is_problem(answer, 422, "invalid")
        pointers = {error["pointer"] for error in answer.json()["errors"]}
        assert pointers == {"/terminal_id", "/time_zone", "/echo_timeout_s"}
        assert not LinkCommand.objects.exists()

    def test_what_is_left_out_is_wrong_and_not_as_it_was(self, api: Client) -> None:
        incomplete = configuration(api)
        del incomplete["window"]

        assert is_problem(put(api, incomplete), 422, "invalid")

    def test_a_version_that_is_not_the_links_any_more_is_412(self, api: Client) -> None:
        assert is_problem(put(api, configuration(api), version=7), 412, "outdated")
        assert is_problem(put(api, configuration(api), version=None), 400, "parameter")
        assert not LinkCommand.objects.exists()
