"""The bank's business date moves on while payments are under way, or while nobody hears of it."""

from datetime import date, timedelta

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until


def business_date(ferry: Ferry) -> date:
    day: date = ferry.sql("SELECT business_date FROM processor_linkstatus")[0].business_date
    return day


def dates_by_amount(ferry: Ferry) -> dict[tuple[int, str], date]:
    found = ferry.sql(
        "SELECT p.amount, a.kind, a.business_date FROM transactions_attempt a"
        " JOIN transactions_payment p ON p.id = a.payment_id"
    )
    return {(row.amount, row.kind): row.business_date for row in found}


def test_a_cut_over_in_mid_flight_keeps_the_originals_date_in_its_reversal(running: Ferry) -> None:
    before = business_date(running)
    with running.client() as client:
        running.post(client, 100_068)
        wait_until(lambda: any(line.get("mti") == "0200" for line in running.journal()), 10, "it is with the bank")
        running.control("POST", "/send", {"message": "cut-over"})
        wait_until(lambda: business_date(running) > before, 10, "the date moved on")
        running.post(client, 100, wait=10)
    running.wait_until_ended(30)

    day_after = before + timedelta(days=1)
    assert dates_by_amount(running) == {
        (100_068, "request"): before,
        (100_068, "reversal"): before,
        (100, "request"): day_after,
    }
    reversals = [line for line in running.journal() if line["what"] == "in" and line.get("mti") == "0420"]
    assert [line["business_date"] for line in reversals] == [day_after.isoformat()]
    running.everything_holds()


def test_a_cut_over_that_nobody_heard_of_is_told_by_the_next_answer(running: Ferry) -> None:
    before = business_date(running)
    running.processes["link"].stop()
    running.control("POST", "/send", {"message": "cut-over"})
    running.start("link")
    running.wait_until_up()
    with running.client() as client:
        first = running.post(client, 100, wait=20)
        wait_until(lambda: business_date(running) > before, 10, "the answer told the date")
        second = running.post(client, 200, wait=20)

    assert (first["status"], second["status"]) == ("approved", "approved")
    assert business_date(running) == before + timedelta(days=1)
    assert dates_by_amount(running)[200, "request"] == business_date(running)
    assert "nothing is wrong" in running.manage("verify")
