"""One person asks, another agrees: a payment reversed at the bank, and a link taken down."""

from typing import Any

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.browser.steps import act, agree, answer_to, page_of
from tests.stack import wait_until


def with_the_bank_and_unknown(house: House) -> dict[str, Any]:
    """Return a payment that the bank carried out and never answered, and whose entry a hand in the database took."""
    payment = house.pay(310_068, expires_in=600)
    wait_until(lambda: house.written(payment, "0200"), 20, "the bank has it")
    assert house.sql("DELETE FROM queueing_queueentry WHERE payment_id = %s RETURNING id", payment["id"])
    house.becomes(payment, "on_hold")
    return payment


def link_page(house: House) -> str:
    """Return where the link's page is."""
    return f"/admin/processor/link/{house.link_id()}/change/"


def test_a_payment_is_reversed_once_a_second_person_agrees(sign_in: SignIn, house: House) -> None:
    payment = with_the_bank_and_unknown(house)
    maker, checker = sign_in("operator"), sign_in("supervisor")

    maker.open(page_of(payment))
    act(maker, "Reverse payment", "letter 7 of the bank", "Ask a second person")
    expect(maker.page.get_by_text("Nothing happens until somebody else agrees").first).to_be_visible()
    maker.page.get_by_role("link", name="Look at the request").click()
    expect(maker.page.get_by_text("somebody else has to agree")).to_be_visible()
    expect(maker.page.get_by_role("button", name="Agree, and do it now")).to_have_count(0)
    assert house.written(payment, "0420") == []
    assert house.read(payment)["status"] == "on_hold"

    checker.open("/admin/")
    expect(checker.page.locator('[data-part="attention"]')).to_contain_text("Reverse payment")
    agree(checker, "letter 7 of the bank")

    expect(checker.page.get_by_text("The reversal is on its way to the bank.").first).to_be_visible()
    steps.shows(maker, page_of(payment), "letter 7 of the bank (supervisor agreed)")
    house.becomes(payment, "reversed")
    (reversal,) = house.written(payment, "0420")
    (request,) = house.written(payment, "0200")
    assert reversal["effect"].split()[0] == "undone"
    assert (reversal["rrn"], reversal["amount"]) == (request["rrn"], "000000310068")
    house.nothing_is_wrong()


def test_a_part_is_refunded_once_a_second_person_agrees(sign_in: SignIn, house: House) -> None:
    payment = house.pay(125_000, wait_s=20)
    maker, checker = sign_in("operator"), sign_in("supervisor")

    maker.open(page_of(payment))
    maker.page.get_by_role("link", name="Refund payment", exact=True).click()
    maker.page.get_by_label("Amount in IDR").fill("400")
    maker.page.get_by_label("Why?").fill("one of two cups was cold")
    assert maker.stumbles() == []
    maker.page.get_by_role("button", name="Ask a second person").click()
    expect(maker.page.get_by_text("Nothing happens until somebody else agrees").first).to_be_visible()
    agree(checker, "one of two cups was cold")

    expect(checker.page.get_by_text("The refund is on its way to the bank.").first).to_be_visible()
    steps.shows(maker, page_of(payment), "Refunded so far")
    maker.page.get_by_role("link", name="Refund, IDR 400.00").click()
    expect(maker.page.get_by_text("one of two cups was cold (supervisor agreed)")).to_be_visible()
    assert house.read(payment)["refunded_amount"] == 40_000
    house.nothing_is_wrong()


def test_a_link_is_taken_down_and_up_again_and_what_waited_is_paid(sign_in: SignIn, house: House) -> None:
    maker, checker = sign_in("operator"), sign_in("supervisor")
    maker.open(link_page(house))
    act(maker, "Close", "the bank's window tonight", "Ask a second person")
    expect(maker.page.locator("#link-sentence")).to_contain_text("Up")

    agree(checker, "the bank's window tonight")
    try:
        expect(maker.page.locator("#link-sentence")).to_contain_text("Closed by staff")
        payment = house.pay(125_000, expires_in=600)
        maker.open("/admin/")
        expect(maker.page.get_by_role("region", name="Links")).to_contain_text("Closed by staff")
        assert house.read(payment)["status"] == "queued"
        assert house.written(payment, "0200") == []
    finally:
        maker.open(link_page(house))
        act(maker, "Establish", "the bank is done", "Tell the link")
        house.wait_until_up()

    expect(maker.page.locator("#link-sentence")).to_contain_text("Up")
    expect(maker.page.locator("#link-commands")).to_contain_text("is up")
    house.becomes(payment, "approved")
    house.nothing_is_wrong()


def test_who_only_looks_at_a_link_is_offered_no_command_and_refused_each(sign_in: SignIn, house: House) -> None:
    link = f"/admin/processor/link/{house.link_id()}"
    doors = [f"{link}/{door}/" for door in ("tell/close", "tell/establish", "tell/echo", "configure")]
    assert {answer_to(sign_in("operator"), door) for door in doors} == {200}

    for role in ("viewer", "auditor", "security officer"):
        looker = sign_in(role)
        looker.open(link_page(house))
        expect(looker.page.locator("#link-sentence")).to_contain_text("Up")
        expect(looker.page.locator(".fm-tell")).to_have_count(0)
        expect(looker.page.get_by_role("link", name="Change it")).to_have_count(0)
        assert {answer_to(looker, door) for door in doors} == {403}


def test_an_operator_asks_and_does_not_agree_to_what_another_asked_for(sign_in: SignIn, house: House) -> None:
    supervisor, operator = sign_in("supervisor"), sign_in("operator")
    supervisor.open(link_page(house))
    act(supervisor, "Sign off", "a rehearsal", "Ask a second person")

    supervisor.page.get_by_role("link", name="Look at the request").click()
    expect(supervisor.page.get_by_text("somebody else has to agree")).to_be_visible()
    operator.open("/admin/staff/request/")
    operator.page.locator("#result_list tbody tr").filter(has_text="a rehearsal").get_by_role("link").first.click()
    expect(operator.page.get_by_text("Your role does not agree to this")).to_be_visible()
    expect(operator.page.get_by_role("button", name="Agree, and do it now")).to_have_count(0)

    _withdraw(supervisor)
    assert house.sql("SELECT state FROM staff_request WHERE reason = 'a rehearsal'")[0].state == "withdrawn"
    house.wait_until_up()


def _withdraw(maker: Console) -> None:
    maker.page.get_by_role("button", name="Withdraw").click()
    expect(maker.page.get_by_text("Withdrawn. Nothing was changed.").first).to_be_visible()
