"""A worker is killed around a webhook: before it is sent, and after it was sent and before that was written down."""

import pytest

from queueing.failpoints import DIED
from tests.acceptance.conftest import Ferry
from tests.acceptance.test_a_webhook_arrives import TOLD_WITHIN_S, receiver, states, subscribe, told
from tests.receiver import Receiver
from tests.stack import wait_until

__all__ = ["receiver", "told"]


@pytest.mark.parametrize(("place", "posts"), [("outcome_committed", 1), ("webhook_posted", 2)])
def test_a_webhook_arrives_although_its_worker_dies(told: Ferry, receiver: Receiver, place: str, posts: int) -> None:
    """Killed before it was sent, the outbox sends it; killed before it was marked, it comes again with the same id."""
    told.settings["FAILPOINTS"] = f"{place}:exit:1"
    told.start("simulator", "web", "link", "beat", "worker")
    del told.settings["FAILPOINTS"]
    told.wait_until_up()
    secret = subscribe(told, receiver)

    told.post_all([100], expires_in=3600)
    dying = told.processes["worker"]
    wait_until(lambda: not dying.is_running, TOLD_WITHIN_S, "the worker died")
    assert dying.popen.returncode == DIED
    told.sql("UPDATE transactions_webhookdelivery SET next_at = now() WHERE state = 'sending'")  # its minute is over
    told.start("worker")

    wait_until(lambda: states(told) == {"delivered": 1}, TOLD_WITHIN_S, "it has arrived")
    assert len(receiver.received) == posts
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    receiver.received[-1].verified(secret)
    told.wait_until_ended(30)
    told.everything_holds()
