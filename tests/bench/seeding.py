"""Payments and rows for the bench, in bulk; payments are made by the same services as any other."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import transaction
from django.utils import timezone

from processor import links
from processor.links import LiveLink
from queueing import queue
from queueing.database import rows, run
from queueing.doorbell import FORWARD, ring
from queueing.queue import LowWater
from transactions import accepting, forwarding
from transactions.accepting import Order
from transactions.domain.values import Operation
from transactions.models import Merchant

CROWD: Final = "crowd"
_ORDER: Final = Order(Operation.PURCHASE, 1_250_000, "IDR", pan="4111111111111111", expires_in_s=3600)
_FILL: Final = """
INSERT INTO queueing_queueentry (payment_id, link, kind, priority, state, request_id, owed_since, expires_at)
SELECT gen_random_uuid(), %(link)s, 'request', 5, 'ready', 'bench', now(), now() + interval '7 days'
FROM generate_series(1, %(count)s)"""
_FINISH: Final = "DELETE FROM queueing_queueentry WHERE id = ANY(%(ids)s)"


@contextmanager
def accept_many(count: int) -> Iterator[None]:
    """Accept payments that all appear when the block ends."""
    merchant_id = Merchant.objects.values_list("id", flat=True)[0]
    with transaction.atomic():
        for _ in range(count):
            key = str(uuid.uuid4())
            accepting.accept(_ORDER, merchant_id=merchant_id, idempotency_key=key, actor="bench", request_id=key)
        yield
    ring(FORWARD)


def dispatch_many(count: int) -> None:
    """Make their messages ready, further ahead of the link than it would ever be."""
    config = links.read("bank")
    assert config
    live = LiveLink(True, config.version, timezone.localdate(), timezone.now(), "", "", "closed", 0.0, 0.0)
    done = 0
    low_water = LowWater()
    while done < count:
        with transaction.atomic():
            entries = queue.claim("bank", 200, low_water)
            assert entries, "fewer payments are ready than were accepted"
            forwarding._dispatch(entries, config, live)
        done += len(entries)


def fill_up(count: int) -> None:
    """Put rows in the queue of a link that nobody works on."""
    run(_FILL, {"link": CROWD, "count": count})


def claim_and_finish(low_water: LowWater) -> float:
    """Claim a hundred and be done with them; returns the milliseconds of the claim."""
    with transaction.atomic():
        began = time.perf_counter()
        claimed = queue.claim(CROWD, 100, low_water)
        took = 1000 * (time.perf_counter() - began)
        rows(_FINISH + " RETURNING id", {"ids": [entry.id for entry in claimed]})
    assert len(claimed) == 100
    return took


def come_to_rest() -> None:
    """Let the planner know what is there, and have done what filling leaves for later: dead rows, dirty pages."""
    run("VACUUM (ANALYZE) queueing_queueentry", {})
    run("CHECKPOINT", {})
