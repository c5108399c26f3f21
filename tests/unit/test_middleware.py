"""What every request to the API meets first."""

from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.test import RequestFactory

from config.middleware import RequestId
from tests.builders import PAN


def answered(path: str = "/api/v1/payments", **headers: Any) -> HttpResponse:
    return RequestId(lambda _: HttpResponse(b"x"))(RequestFactory().get(path, headers=headers))


def test_a_request_id_of_the_client_is_kept() -> None:
    assert answered(**{"X-Request-ID": "till-7-receipt-42"})["X-Request-ID"] == "till-7-receipt-42"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "line\nbreak", PAN])
def test_one_that_may_do_harm_is_not(offered: str) -> None:
    given = answered(**{"X-Request-ID": offered})["X-Request-ID"]

    assert len(given) == 36
    assert given != offered


def test_a_name_we_do_not_answer_to_is_refused_but_not_to_a_probe() -> None:
    with pytest.raises(DisallowedHost):
        answered(Host="evil.example")

    assert answered("/health/live", Host="10.1.2.3").status_code == 200
