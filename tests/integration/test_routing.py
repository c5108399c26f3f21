"""Payments that name no link go where the routing table says, which staff edit and a payment's story tells."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from processor import links, routing
from processor.models import Link
from processor.route_models import Route
from staff.models import Record, Request
from tests.integration.conftest import Hand
from transactions.accepting import Order
from transactions.batching import Item, accept_many
from transactions.domain.values import Operation
from transactions.models import Event


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    routing.forget()
    yield
    routing.forget()


@pytest.fixture
def second(hand: Hand) -> Link:
    facts = {"dialect": "bank-ascii87", "framing": "ascii4", "terminal_id": "T", "card_acceptor_id": "C"}
    return links.configure("second", facts, [("127.0.0.1", 2)])


def sign_in(name: str, role: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(client: Client, link: Link, route: Route | None = None, **given: Any) -> str:
    page = f"/admin/processor/route/{route.pk}/change/" if route else "/admin/processor/route/add/"
    response: Any = client.post(
        page, {"link": link.pk, "enabled": "on", "reason": "the new bank", **given}, follow=True
    )
    return str(response.content.decode())


def agree(client: Client) -> str:
    page = f"/admin/staff/request/{Request.objects.latest('id').pk}/decide/"
    return client.post(page, {"decision": "approve"}, follow=True).content.decode()


def test_without_a_rule_the_first_link_takes_it(hand: Hand, second: Link) -> None:
    assert hand.accept().link == "bank"


def test_a_rule_chooses_the_link_and_the_payment_knows_it(hand: Hand, second: Link) -> None:
    Route.objects.create(number=10, bin="5555", link=second)

    routed, other = hand.accept(pan="5555555555554444"), hand.accept()

    assert (routed.link, other.link) == ("second", "bank")
    assert Event.objects.get(payment_id=routed.id).data["route"] == "10"
    assert "route" not in Event.objects.get(payment_id=other.id).data


def test_who_names_a_link_is_not_routed(hand: Hand, second: Link) -> None:
    Route.objects.create(number=10, link=second)

    assert hand.accept(link="bank").link == "bank"
    assert hand.accept().link == "second"


def test_a_rule_of_another_merchant_or_switched_off_is_none(hand: Hand, second: Link) -> None:
    Route.objects.create(number=10, merchant_id=hand.merchant.id + 1, link=second)
    Route.objects.create(number=20, link=second, enabled=False)

    assert hand.accept().link == "bank"


def test_the_fallback_takes_it_while_the_link_is_down(hand: Hand, second: Link) -> None:
    Route.objects.create(number=10, link=second, fallback=Link.objects.get(name="bank"))

    payment = hand.accept()

    assert payment.link == "bank"
    assert Event.objects.get(payment_id=payment.id).data["route"] == "10 (fallback)"


def test_a_batch_is_routed_as_well(hand: Hand, second: Link) -> None:
    Route.objects.create(number=10, biller="PLN", link=second)
    orders = [Order(Operation.PURCHASE, 100, "IDR", pan="4111111111111111", biller=name) for name in ("PLN", None)]

    results: list[Any] = accept_many(
        [Item(f"key-{number}", order) for number, order in enumerate(orders)],
        merchant_id=hand.merchant.id,
        actor="api:test",
        request_id="request",
    )

    assert [result.payment.link for result in results] == ["second", "bank"]


def test_a_replay_stays_where_it_went_whatever_the_table_says_now(hand: Hand, second: Link) -> None:
    first = hand.receive(key="k")
    Route.objects.create(number=10, link=second)
    routing.forget()

    again = hand.receive(key="k")

    assert (again.payment.id, again.payment.link) == (first.payment.id, "bank")


def test_the_table_costs_a_payment_no_statement(hand: Hand, second: Link, statements: list[str]) -> None:
    Route.objects.create(number=10, link=second)
    hand.receive()
    statements.clear()

    assert hand.receive(key="another").payment.link == "second"
    assert len(statements) == 1


class TestThePage:
    @pytest.fixture
    def supervisor(self, hand: Hand) -> Client:
        return sign_in("budi", "supervisor")

    @pytest.fixture
    def checker(self, hand: Hand) -> Client:
        return sign_in("sari", "supervisor")

    def test_two_make_a_rule_and_it_is_recorded(
        self, supervisor: Client, checker: Client, hand: Hand, second: Link
    ) -> None:
        page = ask(supervisor, second, number=10, merchant_id=hand.merchant.id, bin="4111")
        for said in ("Nothing happens until somebody else agrees", "Warung Kopi", "4111", "second"):
            assert said in page
        assert "somebody else has to agree" in agree(supervisor)
        assert not Route.objects.exists()

        assert "Route 10 is made." in agree(checker)

        assert hand.accept().link == "second"
        told = list(Record.objects.filter(action="make_route").order_by("id").values_list("who", "result"))
        assert told == [("budi", "asked"), ("budi", "refused"), ("sari", "approved"), ("budi", "done")]
        assert "Warung Kopi" in supervisor.get("/admin/processor/route/").content.decode()

    def test_two_change_a_rule_and_see_what_it_was(
        self, supervisor: Client, checker: Client, hand: Hand, second: Link
    ) -> None:
        route = Route.objects.create(number=10, link=second)
        assert "on → off" in ask(supervisor, second, route, number=10, enabled="")
        assert hand.accept().link == "second"
        assert "budi asked for it" in supervisor.get(f"/admin/processor/route/{route.pk}/change/").content.decode()

        assert "Route 10 is changed." in agree(checker)

        assert hand.accept().link == "bank"

    def test_a_rule_that_changed_meanwhile_stays(self, supervisor: Client, checker: Client, second: Link) -> None:
        route = Route.objects.create(number=10, link=second)
        ask(supervisor, second, route, number=11)
        Route.objects.update(number=12)

        assert "changed meanwhile" in agree(checker)

        assert Route.objects.get().number == 12

    def test_a_number_that_was_taken_meanwhile_is_said(self, supervisor: Client, checker: Client, second: Link) -> None:
        ask(supervisor, second, number=10)
        Route.objects.create(number=10, link=second)

        agree(checker)

        assert (Request.objects.get().state, Route.objects.count()) == ("failed", 1)

    def test_what_changes_nothing_is_not_asked(self, supervisor: Client, second: Link) -> None:
        route = Route.objects.create(number=10, link=second)

        assert "just so already" in ask(supervisor, second, route, number=10)

    @pytest.mark.parametrize(
        "wrong", [{"bin": "41x"}, {"fallback": "same"}, {"merchant_id": 999_999}, {"link": ""}, {"number": -1}]
    )
    def test_a_rule_that_is_none_is_refused(self, supervisor: Client, second: Link, wrong: dict[str, Any]) -> None:
        form = {"number": 10, "link": second.pk, "enabled": "on", "reason": "a test", **wrong}
        form = {name: second.pk if value == "same" else value for name, value in form.items()}

        assert supervisor.post("/admin/processor/route/add/", form).status_code == 200
        assert not Request.objects.exists()

    def test_a_payments_story_tells_which_rule_chose(self, supervisor: Client, hand: Hand, second: Link) -> None:
        Route.objects.create(number=10, link=second)
        payment = hand.accept()

        page = supervisor.get(f"/admin/transactions/payment/{payment.id}/change/").content.decode()

        assert "rule 10 of the routing table" in page
