"""The API as a client meets it: statuses, headers, problems; one class an address."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from processor import links
from tests.builders import PAN
from tests.integration.conftest import Forgetful, Hand, status_of
from tests.stack import wait_until
from transactions.api import auth, throttle
from transactions.models import ApiKey, Merchant, Payment
from transactions.waiting import waits

PURCHASE: dict[str, Any] = {"operation": "purchase", "amount": 100, "currency": "IDR", "card": {"pan": PAN}}


def key_of(merchant: Merchant, *scopes: str) -> str:
    return str(ApiKey.objects.create_key(name="test", merchant=merchant, scopes=list(scopes))[1])


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    auth._remembered.clear()
    links._remembered_live.clear()
    throttle._buckets.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read', 'pay')}"})


def post(api: Client, body: Any = PURCHASE, key: str | None = None, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return api.post(
        "/api/v1/payments",
        content,
        content_type=headers.pop("content_type", "application/json"),
        headers={"Idempotency-Key": key or str(uuid.uuid4()), **headers},
    )


def is_problem(response: Any, status: int, code: str) -> bool:
    problem = response.json()
    assert response.status_code == status, problem
    assert response["Content-Type"] == "application/problem+json"
    assert problem["type"] == f"urn:ferryman:problem:{code}"
    assert problem["status"] == status
    assert problem["instance"].startswith("/api/")
    assert problem["request_id"]
    return bool(problem["title"] and problem["detail"])


class TestPosting:
    def test_a_payment_is_accepted_and_says_where_it_is(self, api: Client) -> None:
        response = post(api)

        payment = response.json()
        assert response.status_code == 202
        assert response["Location"] == f"/api/v1/payments/{payment['id']}"
        assert (payment["status"], payment["amount"], payment["card"]) == (
            "queued",
            100,
            {"masked_pan": "411111******1111"},
        )
        assert PAN not in response.content.decode()

    def test_a_replay_is_the_same_payment(self, api: Client) -> None:
        first, again = post(api, key="k"), post(api, key="k")

        assert again.status_code == 202
        assert again["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first
        assert first.json()["id"] == again.json()["id"]

    def test_a_replay_of_an_ended_payment_is_200(self, api: Client, hand: Hand) -> None:
        post(api, key="k")
        hand.answer(hand.take()[0])

        response = post(api, key="k")

        assert (response.status_code, response.json()["status"]) == (200, "approved")

    def test_the_order_of_members_is_no_other_body(self, api: Client) -> None:
        post(api, key="k")

        assert post(api, dict(reversed(PURCHASE.items())), key="k").status_code == 202

    def test_another_body_is_422(self, api: Client) -> None:
        post(api, key="k")

        assert is_problem(post(api, {**PURCHASE, "amount": 200}, key="k"), 422, "key-reused")
        assert Payment.objects.count() == 1

    def test_keys_are_a_merchants_own(self, api: Client, hand: Hand) -> None:
        other = Merchant.objects.create(name="Toko Buku")
        first = post(api, key="k")

        second = post(Client(headers={"Authorization": f"Bearer {key_of(other, 'pay')}"}), key="k")

        assert second.json()["id"] != first.json()["id"]

    def test_two_api_keys_of_a_merchant_share_its_idempotency_keys(self, api: Client, hand: Hand) -> None:
        second = Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'pay')}"})

        assert post(api, key="k").json()["id"] == post(second, key="k").json()["id"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "key\u00e9", "a,b", "tab\there"])
    def test_an_idempotency_key_that_is_none_is_400(self, api: Client, key: str) -> None:
        response = api.post(
            "/api/v1/payments", json.dumps(PURCHASE), "application/json", headers={"Idempotency-Key": key}
        )

        assert is_problem(response, 400, "idempotency-key")

    def test_a_key_of_digits_is_a_key_whatever_its_check_digit(self, api: Client) -> None:
        # date +%s%N: one in ten checks like a card number
        keys = [str(1_795_222_289_000_000_000 + number) for number in range(20)]

        assert {post(api, {**PURCHASE, "reference": key}, key=key).status_code for key in keys} == {202}

    def test_without_an_idempotency_key_nothing_is_accepted(self, api: Client) -> None:
        response = api.post("/api/v1/payments", json.dumps(PURCHASE), "application/json")

        assert is_problem(response, 400, "idempotency-key")
        assert not Payment.objects.exists()

    def test_what_is_wrong_is_named_and_never_repeated(self, api: Client) -> None:
        response = post(api, {**PURCHASE, "amount": -1, "reference": "SECRET" * 20})

        assert is_problem(response, 422, "invalid")
        assert {error["pointer"]: error["code"] for error in response.json()["errors"]} == {
            "/amount": "range",
            "/reference": "length",
        }
        assert b"SECRET" not in response.content

    def test_an_unknown_link_is_422(self, api: Client) -> None:
        response = post(api, {**PURCHASE, "link": "nowhere"})

        assert is_problem(response, 422, "invalid")
        assert response.json()["errors"][0]["pointer"] == "/link"

    @pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b'{"amount": NaN}', b"\xff", b'{"a":"\\u0000"}'])
    def test_what_is_not_json_is_400(self, api: Client, body: bytes) -> None:
        assert is_problem(post(api, body), 400, "malformed-json")

    def test_a_body_of_another_type_is_415(self, api: Client) -> None:
        assert is_problem(post(api, b"a=1", content_type="application/x-www-form-urlencoded"), 415, "media-type")

    def test_too_large_a_body_is_413(self, api: Client) -> None:
        assert is_problem(post(api, b'{"x":"' + b"y" * 70_000 + b'"}'), 413, "too-large")

    def test_a_form_of_answer_we_do_not_have_is_406(self, api: Client) -> None:
        assert is_problem(post(api, Accept="text/csv"), 406, "accept")

    def test_a_method_we_do_not_have_is_405(self, api: Client) -> None:
        response = api.delete("/api/v1/payments")

        assert is_problem(response, 405, "method")
        assert "POST" in response["Allow"]

    def test_too_many_are_429_and_replays_are_not(self, api: Client, settings: Any) -> None:
        settings.RATE_LIMIT, settings.RATE_BURST = 0.1, 1
        first = post(api, key="k")

        assert is_problem(refused := post(api), 429, "too-fast")
        assert int(refused["Retry-After"]) >= 1
        assert post(api, key="k").json()["id"] == first.json()["id"]

    def test_a_backlog_over_its_limit_is_503(self, api: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("queueing.backlog._remembered", Forgetful())
        settings.BACKLOG_LIMIT = 0
        post(api)

        response = post(api)

        assert is_problem(response, 503, "backlog-full")
        assert response["Retry-After"]

    def test_nothing_is_accepted_for_a_customer_who_waits_while_the_breaker_is_open(
        self, api: Client, hand: Hand
    ) -> None:
        hand.report(up=True, breaker="open")

        response = post(api)

        assert is_problem(response, 503, "link-unavailable")
        assert 50 < int(response["Retry-After"]) <= 60
        assert post(api, {**PURCHASE, "expires_in": 3600}).status_code == 202

    def test_a_replay_is_answered_whatever_the_link_does(self, api: Client, hand: Hand) -> None:
        first = post(api, key="k").json()
        hand.report(up=True, breaker="open")

        again = post(api, key="k")

        assert (again.status_code, again.json()["id"]) == (202, first["id"])

    def test_a_link_just_lost_is_given_a_moment_and_then_refuses(self, api: Client, hand: Hand, settings: Any) -> None:
        hand.report(up=False)
        assert post(api).status_code == 202

        settings.LINK_GRACE_SECONDS = 0

        assert is_problem(post(api), 503, "link-unavailable")

    def test_without_store_and_forward_nothing_waits_for_a_link_that_is_down(self, api: Client, hand: Hand) -> None:
        links.configure("bank", {"store_and_forward": False})
        hand.report(up=False)

        assert is_problem(post(api, {**PURCHASE, "expires_in": 3600}), 503, "link-unavailable")

    def test_without_the_database_it_is_503_and_the_client_repeats(
        self, api: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any, **__: Any) -> None:
            raise OperationalError

        monkeypatch.setattr("transactions.store.accept", away)
        response = post(api)

        assert is_problem(response, 503, "database-away")
        assert response["Retry-After"]

    def test_a_request_id_is_taken_over_and_follows_the_payment(self, api: Client) -> None:
        payment = post(api).json()

        assert Payment.objects.get(id=payment["id"]).request_id


class TestPreferWait:
    def when_accepted(self, act: Callable[[], object]) -> threading.Thread:
        def wait_and_act() -> None:
            wait_until(Payment.objects.exists, 5, "a payment")
            act()
            connection.close()

        thread = threading.Thread(target=wait_and_act)
        thread.start()
        return thread

    def settle_soon(self, hand: Hand, code: str = "00") -> threading.Thread:
        return self.when_accepted(lambda: hand.answer(hand.take()[0], code))

    def test_the_answer_is_the_payments_end(self, api: Client, hand: Hand) -> None:
        settling = self.settle_soon(hand)

        response = post(api, Prefer="wait=10")

        settling.join()
        assert (response.status_code, response.json()["status"]) == (200, "approved")
        assert response["Preference-Applied"] == "wait=10"

    def test_waited_out_is_202(self, api: Client) -> None:
        began = time.monotonic()

        response = post(api, Prefer="wait=1")

        assert response.status_code == 202
        assert 1 <= time.monotonic() - began < 3

    def test_waited_out_it_shows_how_far_the_payment_came(self, api: Client, hand: Hand) -> None:
        taking = self.when_accepted(hand.take)

        response = post(api, Prefer="wait=2")

        taking.join()
        assert (response.status_code, response.json()["status"]) == (202, "in_flight")

    @pytest.mark.parametrize("preference", ["respond-async", "wait=soon", "wait=", "wait=-1"])
    def test_what_cannot_be_read_is_not_preferred(self, api: Client, preference: str) -> None:
        response = post(api, Prefer=preference)

        assert response.status_code == 202
        assert "Preference-Applied" not in response

    def test_the_longest_wait_anybody_can_write_is_the_longest_we_have(self, api: Client, hand: Hand) -> None:
        settling = self.settle_soon(hand)

        response = post(api, Prefer=f"wait={'9' * 5000}")

        settling.join()
        assert (response.status_code, response["Preference-Applied"]) == (200, "wait=60")

    def test_a_replay_waits_for_the_same_end(self, api: Client, hand: Hand) -> None:
        post(api, key="k")
        settling = self.settle_soon(hand, "51")

        response = post(api, key="k", Prefer="respond-async, wait=10")

        settling.join()
        assert (response.status_code, response.json()["status"]) == (200, "declined")

    def test_a_replay_of_an_ended_payment_does_not_wait(self, api: Client, hand: Hand) -> None:
        post(api, key="k")
        hand.answer(hand.take()[0])
        began = time.monotonic()

        assert post(api, key="k", Prefer="wait=30").status_code == 200
        assert time.monotonic() - began < 5

    def test_when_too_many_wait_the_answer_comes_at_once(self, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waits, "_room", threading.BoundedSemaphore(1))
        with waits.room():
            began = time.monotonic()

            assert post(api, Prefer="wait=30").status_code == 202
            assert time.monotonic() - began < 5


class TestReading:
    def test_a_payment_is_shown_with_its_end(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        hand.answer(hand.take()[0])

        payment = api.get(f"/api/v1/payments/{payment_id}").json()

        assert (payment["status"], payment["response_code"], payment["authorisation_code"]) == (
            "approved",
            "00",
            "123456",
        )
        assert payment["rrn"]
        assert payment["host_rrn"] == "H00000000001"
        assert payment["reason"] is None

    def test_a_reason_comes_with_its_sentence(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        hand.silence(hand.take()[0])

        payment = api.get(f"/api/v1/payments/{payment_id}").json()

        assert payment["status"] == "reversing"
        assert payment["reason"]["code"] == "host_timeout"
        assert "reversal" in payment["reason"]["text"]

    def test_what_a_held_head_blocks_names_it(self, api: Client, hand: Hand) -> None:
        head = hand.accept(lane="a")
        blocked, beside = hand.accept(lane="a"), hand.accept(lane="b")
        hand.silence(next(taken for taken in hand.take() if taken.payment_id == head.id))
        assert api.get(f"/api/v1/payments/{blocked.id}").json()["blocked_by"] is None

        hand.answer(hand.take()[0], "57")

        shown = api.get(f"/api/v1/payments/{blocked.id}").json()
        assert (shown["status"], shown["reason"]["code"], shown["blocked_by"]) == ("queued", "lane_held", str(head.id))
        listed = {item["id"]: item["blocked_by"] for item in api.get("/api/v1/payments").json()["items"]}
        assert listed == {str(head.id): None, str(blocked.id): str(head.id), str(beside.id): None}

    def test_another_merchants_payment_is_not_there(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        stranger = Client(
            headers={"Authorization": f"Bearer {key_of(Merchant.objects.create(name='x'), 'read', 'pay')}"}
        )

        for path in ("", "/events"):
            assert is_problem(stranger.get(f"/api/v1/payments/{payment_id}{path}"), 404, "not-found")
        assert is_problem(stranger.post(f"/api/v1/payments/{payment_id}/cancel"), 404, "not-found")

    @pytest.mark.parametrize("path", ["payments/1", f"payments/{uuid.uuid4()}", "nowhere", "payments/"])
    def test_what_is_not_there_is_404(self, api: Client, path: str) -> None:
        assert is_problem(api.get(f"/api/v1/{path}"), 404, "not-found")

    def test_its_events_are_told_without_what_is_ours(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        hand.answer(hand.take()[0])

        events = api.get(f"/api/v1/payments/{payment_id}/events").json()["items"]

        assert [event["type"] for event in events] == ["Accepted", "Dispatched", "Approved"]
        assert "fingerprint" not in json.dumps(events)
        assert "digest" not in json.dumps(events)


class TestListing:
    def listed(self, api: Client, query: str = "") -> Any:
        return api.get(f"/api/v1/payments{query}").json()

    def test_payments_come_newest_first_page_by_page(self, api: Client) -> None:
        ids = [post(api).json()["id"] for _ in range(5)]
        seen, page = [], self.listed(api, "?limit=2")
        while True:
            seen += [payment["id"] for payment in page["items"]]
            if page["next"] is None:
                break
            page = api.get(page["next"]).json()

        assert seen == ids[::-1]

    def test_filters_narrow_it(self, api: Client, hand: Hand) -> None:
        first = post(api, {**PURCHASE, "reference": "order-1"}).json()["id"]
        hand.answer(hand.take()[0])
        post(api)

        for query in ("?status=approved", "?reference=order-1"):
            assert [payment["id"] for payment in self.listed(api, query)["items"]] == [first]
        assert self.listed(api, "?operation=transfer") == {"items": [], "next": None}

    def test_only_ones_own_are_listed(self, api: Client, hand: Hand) -> None:
        post(api)
        stranger = Client(headers={"Authorization": f"Bearer {key_of(Merchant.objects.create(name='x'), 'read')}"})

        assert self.listed(stranger)["items"] == []

    @pytest.mark.parametrize("cursor", ["x", "eyJhIjoxfQ:1:x"])
    def test_a_tampered_cursor_is_400(self, api: Client, cursor: str) -> None:
        assert is_problem(api.get(f"/api/v1/payments?cursor={cursor}"), 400, "cursor")

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "status=lost", "operation=theft", "reference=%00"]
    )
    def test_an_odd_parameter_is_400_and_named(self, api: Client, query: str) -> None:
        response = api.get(f"/api/v1/payments?{query}")

        assert is_problem(response, 400, "parameter")
        assert f"`{query.partition('=')[0]}`" in response.json()["detail"]


class TestCancelling:
    def test_a_queued_payment_is_cancelled_once_and_again(self, api: Client) -> None:
        payment_id = post(api).json()["id"]

        for _ in range(2):
            response = api.post(f"/api/v1/payments/{payment_id}/cancel")
            assert (response.status_code, response.json()["status"]) == (200, "cancelled")
        assert response.json()["reason"]["code"] == "cancelled_by_client"

    def test_once_taken_it_is_409(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        hand.take()

        assert is_problem(api.post(f"/api/v1/payments/{payment_id}/cancel"), 409, "not-allowed")

    def test_once_ended_it_is_409(self, api: Client, hand: Hand) -> None:
        payment_id = post(api).json()["id"]
        hand.answer(hand.take()[0])

        response = api.post(f"/api/v1/payments/{payment_id}/cancel")

        assert is_problem(response, 409, "not-allowed")
        assert "ended" in response.json()["detail"]
        assert status_of(Payment.objects.get()) == "approved"


class TestWhoCalls:
    @pytest.mark.parametrize(
        "header", [None, "Basic abc", "Bearer", "Bearer a b", "Bearer nobody.knows", "Bearer \u00e9"]
    )
    def test_without_a_valid_key_it_is_401(self, hand: Hand, header: str | None) -> None:
        stranger = Client(headers={"Authorization": header} if header else {})

        response = stranger.get("/api/v1/payments")

        assert is_problem(response, 401, "unauthenticated")
        assert response["WWW-Authenticate"] == "Bearer"

    def test_a_key_does_what_its_scopes_allow(self, hand: Hand) -> None:
        reader = Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read')}"})
        payer = Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'pay')}"})

        assert is_problem(post(reader), 403, "lacking-scope")
        assert is_problem(payer.get("/api/v1/payments"), 403, "lacking-scope")
        assert post(payer).status_code == 202

    def test_a_revoked_key_is_no_key(self, api: Client) -> None:
        ApiKey.objects.update(revoked=True)

        assert is_problem(post(api), 401, "unauthenticated")


def test_an_address_nobody_knows_is_a_problem_too(database: None) -> None:
    assert is_problem(Client().get("/api/v2/payments"), 404, "not-found")
