"""Drawing STANs: what it costs must not grow with all that a link ever sent."""

from typing import Any

from django.db import connection
from django.utils import timezone

from processor import links
from tests.integration.conftest import Hand
from transactions import forwarding

_HISTORY = """
INSERT INTO transactions_attempt
    (payment_id, number, kind, mti, stan, transmitted_at, terminal_id, rrn, link, business_date, digest, repeats,
     outcome, undoing)
SELECT %s, n, 'request', '0200', n, now() - n * interval '1 minute', 'ATM-001', n::text, 'bank', current_date, '', 0,
    'unsent', 'none'
FROM generate_series(2, 5000) AS n"""


def test_drawing_looks_up_each_stan_and_reads_no_history(hand: Hand) -> None:
    payment = hand.accept()
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY, [payment.id])
        cursor.execute("ANALYZE transactions_attempt")
    config = links.read("bank")
    assert config
    statement = forwarding._DRAW_STANS.format(sequence=config.stan_sequence)

    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", {"count": 50, "link": "bank", "at": timezone.now()}
        )
        (plan,) = cursor.fetchone()

    assert _rows_read(plan[0]["Plan"]) <= 200


def _rows_read(node: dict[str, Any]) -> float:
    """Rows that came out of tables, and those thrown away there, in all loops."""
    rows: float = sum(_rows_read(child) for child in node.get("Plans", []))
    if node.get("Relation Name") == "transactions_attempt":
        rows += node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    return rows
