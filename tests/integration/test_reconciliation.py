"""The bank's file beside ours: uploaded by those who may, compared, and every difference worked through once."""

import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from processor.models import LinkStatus
from staff.models import Record
from tests.integration.conftest import Hand
from tests.integration.test_roles import sign_in
from transactions import reconciliation
from transactions.models import Attempt, Payment
from transactions.reconciliation_models import Difference, HostFile, HostLine

HEAD = "rrn,stan,local_date,amount,currency,operation,response\n"
UPLOAD = reverse("admin:hostfile_upload")


@pytest.fixture
def olga(hand: Hand) -> Client:
    return sign_in("olga", "operator")


@pytest.fixture
def paid(hand: Hand) -> list[Attempt]:
    """Three approved payments of 1.00, 2.00 and 3.00."""
    for amount in (100, 200, 300):
        hand.accept(amount)
        hand.answer(hand.take()[0])
    return list(Attempt.objects.order_by("payment_id"))


def line(attempt: Attempt, amount: str, operation: str = "purchase", response: str = "00") -> str:
    return f"{attempt.rrn},,,{amount},IDR,{operation},{response}\n"


def bring(client: Client, body: str | bytes, **changes: Any) -> Any:
    file = SimpleUploadedFile("bank.csv", body.encode() if isinstance(body, str) else body)
    day = LinkStatus.objects.get().business_date
    return client.post(UPLOAD, {"day": day, "link": "bank", "file": file, **changes})


def upload(client: Client, body: str | bytes, **changes: Any) -> Any:
    """Bring a file, and have it compared."""
    answer = bring(client, body, **changes)
    reconciliation.work()
    return answer


def kinds() -> list[str]:
    return list(Difference.objects.order_by("id").values_list("kind", flat=True))


def test_what_agrees_leaves_nothing_to_do(olga: Client, paid: list[Attempt]) -> None:
    by_rrn, by_stan = line(paid[0], "1.00") + line(paid[1], "2.00"), paid[2]
    stan = f",{by_stan.stan},{by_stan.transmitted_at:%Y-%m-%d},3.00,360,purchase,00\n"

    response = upload(olga, HEAD + by_rrn + stan)

    file = HostFile.objects.get()
    assert response.url == reverse("admin:transactions_hostfile_change", args=[file.pk])
    assert (file.lines, file.agreeing, file.differing) == (3, 3, 0)
    assert "The bank and we agree" in olga.get(response.url).content.decode()
    assert Record.objects.get(action="upload_host_file").who == "olga"


def test_each_kind_of_difference_is_kept_with_its_payment(olga: Client, paid: list[Attempt]) -> None:
    strange = "999999999999,,,5.00,IDR,purchase,00\n"

    page = olga.get(upload(olga, HEAD + line(paid[0], "9.00") + line(paid[1], "2.00", response="51") + strange).url)

    assert sorted(kinds()) == ["amount", "ours_only", "state", "theirs_only"]
    for attempt in paid:
        assert reverse("admin:transactions_payment_change", args=[attempt.payment_id]) in page.content.decode()
    amount = Difference.objects.get(kind="amount")
    assert (amount.our_amount, amount.their_amount, amount.line) == (100, 900, 2)


def test_what_is_ours_on_another_date_leads_there(olga: Client, paid: list[Attempt]) -> None:
    before = LinkStatus.objects.get().business_date - timedelta(days=1)

    upload(olga, HEAD + line(paid[0], "1.00"), day=before)

    assert Difference.objects.get().payment_id == paid[0].payment_id
    assert "on another date" in olga.get(_page()).content.decode()


def test_a_reversed_payment_agrees_with_its_reversal(olga: Client, hand: Hand) -> None:
    hand.accept(100)
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0])
    attempt = Attempt.objects.get(reverses=None)

    upload(olga, HEAD + line(attempt, "1.00") + line(attempt, "1.00", "reversal"))

    assert kinds() == []


def _page() -> str:
    return reverse("admin:transactions_hostfile_change", args=[HostFile.objects.get().pk])


@pytest.fixture
def difference(olga: Client, paid: list[Attempt]) -> Difference:
    upload(olga, HEAD + line(paid[0], "1.00") + line(paid[1], "2.00"))
    return Difference.objects.get()


def test_a_difference_is_worked_through_once_with_a_reason(olga: Client, difference: Difference) -> None:
    where = reverse("admin:difference_work", args=[difference.pk])
    payments = list(Payment.objects.values())
    assert "Why?" in olga.get(where).content.decode()

    olga.post(where, {"reason": ""})
    assert not Record.objects.filter(action="work_through_difference").exists()
    olga.post(where, {"reason": "the bank books it tomorrow"})
    olga.post(where, {"reason": "no, another one"})

    difference.refresh_from_db()
    assert (difference.worked_by, difference.reason) == ("olga", "the bank books it tomorrow")
    assert isinstance(difference.worked_at, datetime)
    row = Record.objects.get(action="work_through_difference")
    assert (row.who, row.why, row.subject) == ("olga", "the bank books it tomorrow", str(difference.file_id))
    assert list(Payment.objects.values()) == payments
    assert "Every difference is worked through" in olga.get(_page()).content.decode()
    assert "the bank books it tomorrow" in olga.get(_page(), {"show": "all"}).content.decode()


def test_a_viewer_reads_and_downloads_and_marks_nothing(difference: Difference) -> None:
    vera = sign_in("vera", "viewer")
    file = vera.get(reverse("admin:hostfile_export", args=[difference.file_id]))

    body = b"".join(file.streaming_content).decode()  # type: ignore[attr-defined]
    assert body.splitlines()[1].startswith(f"ours_only,{difference.payment_id}")
    assert Record.objects.get(action="export_differences").who == "vera"
    assert "Work through" not in vera.get(_page()).content.decode()
    assert vera.post(reverse("admin:difference_work", args=[difference.pk]), {"reason": "mine"}).status_code == 403
    assert upload(vera, HEAD).status_code == 403


def test_what_is_wrong_is_said_by_place_and_never_echoed(olga: Client, paid: list[Attempt]) -> None:
    body = HEAD + "4111111111111111,<script>,,x,IDR,gift,00\n"

    page = upload(olga, body).content.decode()

    assert "nothing of it was kept" in page
    assert "4111111111111111" not in page
    assert "gift" not in page
    assert not HostFile.objects.exists()


def test_the_file_of_another_date_leaves_nothing_but_that_it_failed(
    olga: Client, paid: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "MOST_DIFFERENCES", 2)

    page = olga.get(upload(olga, HEAD + "999999999999,,,5.00,IDR,purchase,00\n").url).content.decode()

    assert "the file of another date" in page
    assert (kinds(), HostLine.objects.count()) == ([], 0)
    assert Record.objects.get(action="compare_host_file").result == "failed"


def test_a_file_at_which_something_breaks_keeps_no_other_waiting(
    olga: Client, paid: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = bring(olga, HEAD + line(paid[0], "1.00")).url
    bring(olga, HEAD + line(paid[0], "1.00") + line(paid[1], "2.00") + line(paid[2], "3.00"))
    count, first = reconciliation._count, HostFile.objects.order_by("id")[0].pk

    def count_or_break(file: HostFile) -> None:
        if file.pk == first:
            raise ValueError
        count(file)

    monkeypatch.setattr(reconciliation, "_count", count_or_break)

    reconciliation.work()

    assert "Something broke" in olga.get(broken).content.decode()
    assert list(HostFile.objects.order_by("id").values_list("failed", "agreeing")) == [("broken", 0), ("", 3)]
    assert not HostLine.objects.exists()


def test_it_is_compared_after_the_answer_and_the_page_says_how_far_it_is(olga: Client, paid: list[Attempt]) -> None:
    page = bring(olga, HEAD + line(paid[0], "1.00")).url
    progress = reverse("admin:hostfile_progress", args=[HostFile.objects.get().pk])

    assert "The file is being compared" in olga.get(page).content.decode()
    assert olga.get(progress).json()["is_over"] is False
    reconciliation.work()

    told = olga.get(progress).json()
    assert told["is_over"] is True
    assert "3 of 3 payments compared" in told["html"]
    assert "2 differences are open" in olga.get(page).content.decode()
    assert Record.objects.get(action="compare_host_file").who == "olga"


def test_it_goes_on_where_a_killed_worker_left_it(
    olga: Client, paid: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = HEAD + line(paid[0], "1.00") + line(paid[1], "9.00") + line(paid[2], "3.00")
    bring(olga, body)
    monkeypatch.setattr(reconciliation, "_EDGE", reconciliation._EDGE.replace("LIMIT 2000", "LIMIT 1"))
    assert [reconciliation._go_on() for _ in range(2)] == [True, True]
    with monkeypatch.context() as dying:
        dying.setattr(reconciliation, "_difference", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            reconciliation._go_on()
    assert HostFile.objects.get().compared == 1

    reconciliation.work()

    file = HostFile.objects.get()
    assert (file.compared, file.agreeing, file.differing, HostLine.objects.count()) == (3, 2, 1, 0)
    assert kinds() == ["amount"]


@pytest.mark.parametrize("changes", [{"link": "another"}, {"day": "yesterday"}, {"file": ""}])
def test_a_form_that_is_not_whole_is_shown_again(olga: Client, paid: list[Attempt], changes: dict[str, Any]) -> None:
    assert upload(olga, HEAD + line(paid[0], "1.00"), **changes).status_code == 200
    assert not HostFile.objects.exists()
