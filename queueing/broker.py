"""The broker as this project uses it: a few queues, declared the same by every party, and one message.

A message is a doorbell: it names a queue and nothing else. Another declaration of a queue is a 406 in
RabbitMQ, so nobody but `queue_of` makes one.
"""

from typing import Any, Final

from celery import current_app
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel, Transport
from kombu.transport.virtual import QoS

_DELIVERY_LIMIT: Final = 20
_QUORUM: Final = {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}
_RETRY_ONCE: Final = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
_PATIENCE_S: Final = 5


class _RingChannel(Channel):
    """A Redis channel whose broker may vanish while rings are in hand: they are lost, and rung again (Q1).

    Kombu would put them back as it closes, and acknowledge them on the closed channel: both end the worker. And what it
    could not acknowledge would count as in hand for ever: with as many of them as a worker has threads it is deaf.
    """

    do_restore = False

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:  # noqa: FBT001  (kombu's)
        if self.closed:
            return
        try:
            super().basic_ack(delivery_tag, multiple)
        except Exception:
            QoS.ack(self.qos, delivery_tag)
            raise


Transport.Channel = _RingChannel


def queue_of(name: str) -> Queue:
    """Return the declaration of a queue; RabbitMQ keeps it on a quorum, other brokers ignore that."""
    return Queue(name, routing_key=name, durable=True, queue_arguments=_QUORUM)


def publish(task: str, queue: str) -> None:
    """Publish one ring; raises OperationalError when the broker is away."""
    with current_app.producer_pool.acquire(block=True, timeout=_PATIENCE_S) as producer:
        declared: Any = queue_of(queue)
        current_app.send_task(
            task, queue=declared, producer=producer, retry=True, retry_policy=_RETRY_ONCE, ignore_result=True
        )


def waiting(queue: str) -> int:
    """Return how many rings wait in a queue; raises OperationalError."""
    with current_app.producer_pool.acquire(block=True, timeout=_PATIENCE_S) as producer:
        channel: Any = producer.channel
        connection: Any = producer.connection
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0  # Redis knows no queue that is empty
        except connection.connection_errors as error:
            raise OperationalError(str(error)) from error


def is_reachable() -> bool:
    """Say whether a connection to the broker can be had within a second."""
    try:
        with current_app.connection_for_write(connect_timeout=1) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    except (OperationalError, OSError):
        return False
    return True
