"""Finding payments in the back office: by what they are called, by filters, page after page, and searches kept."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.integration.conftest import Hand
from transactions import finding, services
from transactions.domain.values import Operation, ReasonCode
from transactions.models import Merchant, Payment, SavedSearch

LIST = reverse("admin:transactions_payment_changelist")


@pytest.fixture
def sign_in(hand: Hand) -> Callable[[str], Client]:
    def signed_in(name: str) -> Client:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_payment"))
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def alice(sign_in: Callable[[str], Client]) -> Client:
    return sign_in("alice")


def shown(client: Client, **query: Any) -> list[Payment]:
    """The payments on a page, in its order."""
    response = client.get(LIST, query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


class TestATerm:
    @pytest.mark.parametrize(
        "term",
        ["1,250.00", "1250", "1250.00", "IDR 1,250.00", "idr 1250", "123456", "the-key"],
        ids=["amount", "no commas", "decimals", "with its currency", "small letters", "code", "client's key"],
    )
    def test_finds_a_payment(self, alice: Client, hand: Hand, term: str) -> None:
        payment = hand.accept(125_000, "the-key")
        hand.answer(hand.take()[0])
        hand.accept(7)

        assert [one.id for one in shown(alice, q=term)] == [payment.id]

    @pytest.mark.parametrize("term", ["1111", "411111******1111"], ids=["last four", "masked card"])
    def test_of_a_card_finds_what_was_paid_with_it(self, alice: Client, hand: Hand, term: str) -> None:
        payment = hand.accept()

        assert [one.id for one in shown(alice, q=term)] == [payment.id]
        assert shown(alice, q=term.replace("1111", "2222")) == []

    @pytest.mark.parametrize("name", ["id", "idempotency_key", "reference"])
    def test_that_is_such_an_id_as_ours_finds_what_the_client_called_so(
        self, alice: Client, hand: Hand, name: str
    ) -> None:
        payment = hand.accept(125_000, str(uuid4()), reference=str(uuid4()))
        hand.accept(7)

        assert [one.id for one in shown(alice, q=str(getattr(payment, name)))] == [payment.id]

    def test_finds_an_open_payment_by_its_amount(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept(125_000)

        assert [one.id for one in shown(alice, q="1250")] == [payment.id]

    def test_of_another_currency_is_another_amount(self, alice: Client, hand: Hand) -> None:
        hand.accept(125_000)

        assert shown(alice, q="JPY 125000") == []
        assert shown(alice, q="USD 1250") == []

    def test_is_narrowed_by_filters(self, alice: Client, hand: Hand) -> None:
        hand.accept(reference="twice")
        declined = hand.accept(reference="twice")
        first, second = hand.take()
        hand.answer(first)
        hand.answer(second, "05")

        assert [one.id for one in shown(alice, q="twice", status__exact="declined")] == [declined.id]

    def test_asks_few_questions(self, alice: Client, hand: Hand) -> None:
        hand.accept(reference="123456")
        for term in ("", "123456", "123456789012", "1,250.00"):
            with CaptureQueriesContext(connection) as asked:
                shown(alice, q=term)

            assert len(asked) <= 10, term


class TestFilters:
    def test_of_a_link_a_merchant_and_an_operation(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        other = Merchant.objects.create(name="Toko Buku")

        for query in ({"link": "bank"}, {"merchant": hand.merchant.pk}, {"operation__exact": "purchase"}):
            assert [one.id for one in shown(alice, **query)] == [payment.id]
        for query in ({"link": "other"}, {"merchant": other.pk}, {"operation__exact": "transfer"}):
            assert shown(alice, **query) == []

    def test_of_days_by_the_viewers_calendar(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        today = payment.created_at.date()

        days = {"created_at_from": today, "created_at_to": today}
        assert [one.id for one in shown(alice, **days)] == [payment.id]
        yesterday = today - timedelta(days=1)
        assert shown(alice, created_at_to=yesterday) == []
        assert shown(alice, created_at_from=today + timedelta(days=1)) == []
        assert len(shown(alice, created_at_from="nonsense")) == 1

    @pytest.mark.parametrize("status", ["queued", "in_flight", "cancelled"])
    def test_of_a_status_open_or_seldom(self, alice: Client, hand: Hand, status: str) -> None:
        sent = hand.accept()
        hand.take()
        cancelled, queued = hand.accept(), hand.accept()
        services.cancel(cancelled.id, actor="staff:alice", reason=ReasonCode.CANCELLED_BY_STAFF)

        wanted = {"queued": queued, "in_flight": sent, "cancelled": cancelled}[status]
        assert [one.id for one in shown(alice, status__exact=status)] == [wanted.id]

    def test_what_no_index_knows_is_looked_for_bit_by_bit(
        self, alice: Client, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finding, "_STRETCH", 3)
        oldest = hand.accept(operation=Operation.BALANCE_INQUIRY, amount=0)
        for _ in range(5):
            hand.accept()

        first = alice.get(LIST, {"operation__exact": "balance_inquiry"})
        assert list(first.context["cl"].result_list) == []
        assert "Look further back" in first.content.decode()
        second = alice.get(LIST + first.context["cl"].paginator.older)

        assert [one.id for one in second.context["cl"].result_list] == [oldest.id]
        assert "Look further back" not in second.content.decode()


class TestPages:
    def test_lead_back_and_forth_without_a_gap(
        self, alice: Client, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finding, "PAGE", 2)
        ids = [hand.accept().id for _ in range(5)][::-1]

        first = alice.get(LIST).context["cl"]
        second = alice.get(LIST + first.paginator.older).context["cl"]
        third = alice.get(LIST + second.paginator.older).context["cl"]
        back = alice.get(LIST + third.paginator.newer).context["cl"]

        pages = [[one.id for one in page.result_list] for page in (first, second, third, back)]
        assert pages == [ids[:2], ids[2:4], ids[4:], ids[2:4]]
        assert (first.paginator.newer, third.paginator.older) == ("", "")

    def test_nothing_is_counted(self, alice: Client, hand: Hand) -> None:
        hand.accept()
        with CaptureQueriesContext(connection) as asked:
            shown(alice)

        assert not any("COUNT(" in query["sql"] for query in asked)


class TestKeptSearches:
    def keep(self, client: Client, name: str, query: str) -> Any:
        return client.post(reverse("admin:payment_keep_search"), {"name": name, "query": query}, follow=True)

    def test_a_search_is_kept_shown_and_forgotten(self, alice: Client, hand: Hand) -> None:
        page = self.keep(alice, "Declined today", "status__exact=declined&p=3&q=").content.decode()

        kept = SavedSearch.objects.get()
        assert kept.query == "status__exact=declined"
        assert "Declined today" in page
        alice.post(reverse("admin:payment_forget_search", args=[kept.pk]))
        assert not SavedSearch.objects.exists()

    def test_it_is_nobody_elses(self, alice: Client, sign_in: Callable[[str], Client]) -> None:
        self.keep(alice, "Mine", "q=1")
        bob = sign_in("bob")

        assert "Mine" not in bob.get(LIST).content.decode()
        bob.post(reverse("admin:payment_forget_search", args=[SavedSearch.objects.get().pk]))
        assert SavedSearch.objects.count() == 1

    def test_one_without_a_name_is_refused(self, alice: Client) -> None:
        assert "needs a name" in self.keep(alice, "", "q=1").content.decode()
        assert not SavedSearch.objects.exists()
