"""What is larger than its page takes is refused by the length it names: nothing of it is read or spooled."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.integration.conftest import Hand
from tests.integration.test_roles import sign_in
from transactions.reports.host_lines import MOST_BYTES

UPLOAD = reverse("admin:hostfile_upload")
LIST = reverse("admin:transactions_payment_changelist")
MB = 2**20


class Unread:
    """A body that nobody may touch."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError

    readline = read


def send(client: Client, page: str, length: int) -> Any:
    """Post a form with a file of which the beginning says how long it is."""
    kind = "multipart/form-data; boundary=x"
    extra: dict[str, Any] = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": kind, "wsgi.input": Unread()}
    return client.post(page, **extra)


@pytest.mark.parametrize(
    ("page", "length"), [(UPLOAD, MOST_BYTES + 2 * MB), (LIST, 2 * MB), ("/i18n/setlang/", 2 * MB)]
)
def test_it_is_413_with_a_page_that_says_what_to_do(hand: Hand, page: str, length: int) -> None:
    response = send(sign_in("olga", "operator"), page, length)

    assert response.status_code == 413
    assert "leave out the columns that are not compared" in response.content.decode()


def test_a_stranger_is_refused_as_well(hand: Hand) -> None:
    assert send(Client(), reverse("admin:login"), 2 * MB).status_code == 413


def test_the_page_for_the_banks_files_takes_one(hand: Hand) -> None:
    with pytest.raises(AssertionError):
        send(sign_in("olga", "operator"), UPLOAD, MOST_BYTES)
