"""Which rule of the routing table decides about a payment."""

import pytest

from processor.link.routes import Route, Way, choose

TABLE = (
    Route(10, "savings", merchant_id=7, bin="4111"),
    Route(20, "bills", fallback="cards", biller="PLN"),
    Route(30, "cards", bin="4"),
    Route(99, "rest"),
)


def always(_: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("merchant_id", "pan", "biller", "link", "rule"),
    [
        (7, "4111111111111111", None, "savings", "10"),
        (7, "4111111111111111", "PLN", "savings", "10"),
        (8, "4111111111111111", "PLN", "bills", "20"),
        (8, "4111111111111111", "PDAM", "cards", "30"),
        (7, "5555555555554444", None, "rest", "99"),
        (7, None, None, "rest", "99"),
    ],
)
def test_the_first_that_fits_decides(merchant_id: int, pan: str | None, biller: str, link: str, rule: str) -> None:
    assert choose(TABLE, merchant_id, pan, biller, always) == Way(link, rule)


def test_where_none_fits_nothing_is_chosen() -> None:
    assert choose(TABLE[:3], 7, "5555555555554444", None, always) is None
    assert choose((), 7, "4111111111111111", None, always) is None


@pytest.mark.parametrize(
    ("up", "way"),
    [
        ({"bills", "cards"}, Way("bills", "20")),
        ({"cards"}, Way("cards", "20 (fallback)")),
        ({"bills"}, Way("bills", "20")),
        (set(), Way("bills", "20")),
    ],
)
def test_the_fallback_serves_while_only_it_carries(up: set[str], way: Way) -> None:
    assert choose(TABLE, 8, "4111111111111111", "PLN", up.__contains__) == way
