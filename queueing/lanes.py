"""Lanes: within one, strictly first in, first out, and one in flight (Q2). No lane, no ordering.

A lane's row counts its open entries. Joining takes the row's lock, so does leaving; the next entry is
promoted in a second statement, which therefore sees every entry that joined before.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from queueing.database import rows, run

#: Joins the entry of the CTE `accepted` to its lane; `lane.open` is 1 for the one that may move.
JOIN_LANE: Final = """
lane AS (
    INSERT INTO queueing_lane AS l (lane, open)
    SELECT %(lane_key)s::text, 1 FROM accepted WHERE %(lane_key)s::text IS NOT NULL
    ON CONFLICT (lane) DO UPDATE SET open = l.open + 1
    RETURNING open
)"""

#: The same for many of `owed(lane_key)`; nobody else counts in while a lane's row is locked, and all lock in its order.
JOIN_LANES: Final = """
joining AS (
    SELECT lane_key, count(*)::int AS entries FROM owed WHERE lane_key IS NOT NULL GROUP BY lane_key
), lane AS (
    INSERT INTO queueing_lane AS l (lane, open)
    SELECT lane_key, entries FROM joining ORDER BY lane_key
    ON CONFLICT (lane) DO UPDATE SET open = l.open + excluded.open
    RETURNING lane, open
)"""

_LEAVE: Final = """
WITH left_lane AS MATERIALIZED (
    SELECT l.lane, d.left_by FROM queueing_lane l
    JOIN unnest(%(lanes)s::text[], %(counts)s::int[]) AS d(lane, left_by) USING (lane)
    WHERE l.lane = ANY(%(lanes)s::text[]) ORDER BY l.lane FOR UPDATE OF l
)
UPDATE queueing_lane l SET open = l.open - d.left_by FROM left_lane d
WHERE l.lane = ANY(%(lanes)s::text[]) AND l.lane = d.lane"""

_FORGET_EMPTY: Final = "DELETE FROM queueing_lane WHERE lane = ANY(%(lanes)s::text[]) AND open = 0"

_PROMOTE: Final = """
UPDATE queueing_queueentry SET state = 'ready'
WHERE id = ANY(ARRAY(
    SELECT (SELECT min(b.id) FROM queueing_queueentry b WHERE b.state = 'blocked' AND b.lane = head.lane)
    FROM unnest(%(lanes)s::text[]) AS head(lane)
))
RETURNING link"""


def leave(gone: Iterable[tuple[str, bool]]) -> set[str]:
    """Count closed entries out of their lanes and let the next one move where the head went.

    `gone` has (lane, was it the head) for each entry; returns the links that have a ready entry now.
    """
    entries = list(gone)
    counts = Counter(lane for lane, _ in entries)
    if not counts:
        return set()
    lanes = sorted(counts)
    run(_LEAVE, {"lanes": lanes, "counts": [counts[lane] for lane in lanes]})
    heads = sorted({lane for lane, was_head in entries if was_head})
    promoted = {row.link for row in rows(_PROMOTE, {"lanes": heads})} if heads else set()
    run(_FORGET_EMPTY, {"lanes": lanes})
    return promoted
