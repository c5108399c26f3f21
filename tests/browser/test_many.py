"""Five hundred payments at once: cancelled as a job whose page says how far it is."""

import re
import uuid
from typing import Any, Final

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.stack import wait_until

MANY: Final = 500


def post_many(house: House) -> None:
    """Post them in one batch."""
    body: dict[str, Any] = {"operation": "purchase", "amount": 125_000, "currency": "IDR", "expires_in": 3600}
    body["card"] = {"pan": "4111111111111111"}
    items = [{"idempotency_key": str(uuid.uuid4()), "payment": body} for _ in range(MANY)]
    with house.client() as client:
        answer = client.post("/payments/batch", json={"payments": items})
    assert answer.status_code == 200, answer.text


def test_five_hundred_that_wait_are_cancelled(operator: Console, sign_in: SignIn, house: House) -> None:
    house.manage("link", "bank", "pause", "--reason", "a story")
    try:
        seen = len(house.journal())
        post_many(house)
        operator.open(f"{steps.PAYMENTS}?status__exact=queued")
        operator.page.locator(".fm-many").get_by_role("link", name="Cancel payment").click()
        expect(operator.page.get_by_text(re.compile(rf"{MANY}, .*625,000"))).to_be_visible()
        assert operator.stumbles() == []
        operator.page.get_by_label("Why?").fill("the merchant sent them twice")
        operator.page.get_by_role("button", name="Cancel payment").dblclick()

        progress = operator.page.locator("#job-progress")
        expect(progress).to_contain_text(f"{MANY} of {MANY}", timeout=90_000)
        expect(progress).to_contain_text("Ended")
        assert house.sql("SELECT count(*) AS n FROM transactions_job")[0].n == 1
        assert operator.stumbles() == []
    finally:
        house.manage("link", "bank", "resume", "--reason", "a story")

    cancelled = (
        "SELECT count(*) AS n FROM transactions_payment WHERE status = 'cancelled' AND created_at > now() - '1h'"
    )
    wait_until(lambda: house.sql(f"{cancelled}::interval")[0].n >= MANY, 5, "all are cancelled")
    new = [line for line in house.journal()[seen:] if line.get("mti") == "0200"]
    assert new == []
    house.nothing_is_wrong()

    auditor = sign_in("auditor")
    auditor.open("/admin/staff/record/?q=cancel_payments")
    expect(auditor.page.locator("#result_list")).to_contain_text("the merchant sent them twice")
    auditor.open("/admin/transactions/job/")
    expect(auditor.page.locator("#result_list")).to_contain_text("the merchant sent them twice")
