"""A plausible past: what was seeded holds like what was carried, is found like it, is never mixed with it unasked."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from processor.models import Link, Message
from queueing import clock
from tests.integration.conftest import Hand
from transactions import auditing, desk, finding, minutes
from transactions.finding import Wanted
from transactions.models import Attempt, Event, Merchant, Payment

pytestmark = pytest.mark.usefixtures("database")


def seed(payments: int, *arguments: str) -> str:
    said = StringIO()
    call_command("seed", "--payments", str(payments), *arguments, stdout=said, stderr=StringIO())
    return said.getvalue()


def test_it_holds_like_what_was_carried(merchant: Merchant, link: Link) -> None:
    assert "600 payments loaded" in seed(600)

    assert list(auditing.violations()) == []
    assert Payment.objects.filter(ended_at=None).count() == 0
    assert set(Payment.objects.values_list("status", flat=True)) >= {"approved", "declined", "reversed"}
    assert Event.objects.count() > 1700
    assert Attempt.objects.count() > 550
    assert Message.objects.count() > 1100


def test_it_lies_within_90_days_in_order(merchant: Merchant, link: Link) -> None:
    seed(300)

    times = list(Payment.objects.order_by("id").values_list("created_at", flat=True))
    assert times == sorted(times)
    assert (clock.now() - times[0]).days in (89, 90)
    assert (clock.now() - times[-1]).days == 0


def test_more_of_it_goes_on_without_meeting_what_is_there(merchant: Merchant, link: Link) -> None:
    seed(100)
    seed(100)

    assert Payment.objects.count() == 200
    assert list(auditing.violations()) == []


def test_what_it_made_is_found_and_shown(merchant: Merchant, link: Link) -> None:
    seed(2_000)
    payment = Payment.objects.filter(status="approved").order_by("-id").first()
    assert payment
    assert payment.rrn

    found = finding.find(Payment.objects.all(), Wanted(term=payment.rrn))

    assert [one.id for one in found.payments] == [payment.id]
    minutes.roll_up()
    assert sum(desk.read_series(96, desk.QUARTER, clock.now()).ends["approved"]) > 0


def test_it_refuses_to_stand_beside_real_payments(hand: Hand) -> None:
    hand.accept()

    with pytest.raises(CommandError, match="were carried"):
        seed(10)
    assert Payment.objects.count() == 1

    seed(10, "--beside-real")
    assert Payment.objects.count() == 11


def test_without_a_link_it_says_what_to_do(merchant: Merchant) -> None:
    with pytest.raises(CommandError, match="Make one first"):
        seed(10)
