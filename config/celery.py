"""The Celery application: a doorbell's ear. Work and time live in PostgreSQL, never in a message."""

import os
from typing import Any

from celery import Celery
from celery.schedules import schedule
from celery.signals import beat_init, celeryd_after_setup, celeryd_init, setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", "8")

from django.conf import settings

from config.garbage import collect_less
from queueing.broker import queue_of
from queueing.clock import steady_now
from queueing.doorbell import FORWARD, MAINTENANCE, SETTLE, WEBHOOKS

QUEUES = (FORWARD, SETTLE, WEBHOOKS, MAINTENANCE)

#: as old as the desk's charts may be
_ROLL_UP_S = 10.0

app = Celery("ferryman")
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_connection_retry_on_startup=True,
    # None: for ever. With a number a broker outage ends the link worker.
    broker_connection_max_retries=None,
    broker_transport_options={"visibility_timeout": 300},
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_create_missing_queues=False,
    task_default_queue=MAINTENANCE,
    task_queues=[queue_of(name) for name in QUEUES],
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=3.0,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    beat_schedule={
        "recover": {
            "task": "transactions.tasks.recover",
            "schedule": schedule(settings.RECOVERY_SECONDS, nowfun=steady_now),
            # The broker's own patience: Celery's `expires` is a time of beat's clock, read by a worker's.
            "options": {"queue": MAINTENANCE, "expiration": settings.RECOVERY_SECONDS},
        },
        "roll up": {
            "task": "transactions.tasks.roll_up",
            "schedule": schedule(_ROLL_UP_S, nowfun=steady_now),
            "options": {"queue": MAINTENANCE, "expiration": _ROLL_UP_S},
        },
    },
    # Nothing to remember between two runs: its times are of a clock that begins with the machine.
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=60,
    timezone="UTC",
)
app.autodiscover_tasks()
# Before any step starts: afterwards it would hold up a link that is signing on.
celeryd_after_setup.connect(collect_less)
app.steps["worker"].add("processor.worker:LinkStep")


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    """Connected, this keeps Celery from setting up its own."""


@worker_init.connect
@beat_init.connect
def _serve_metrics(**_: Any) -> None:
    from config.metrics import serve  # noqa: PLC0415  (needs the apps)

    serve(settings.METRICS_PORT)


@celeryd_after_setup.connect
def _begin_workers_heartbeat(instance: Any, **_: Any) -> None:
    names = instance.app.amqp.queues.consume_from
    _begin_heartbeat(next((name.replace(".", "-") for name in names if name.startswith("link.")), "worker"))


@beat_init.connect
def _begin_beats_heartbeat(**_: Any) -> None:
    _begin_heartbeat("beat")


def _begin_heartbeat(kind: str) -> None:
    from queueing import heartbeat  # noqa: PLC0415  (needs the apps)

    heartbeat.begin(kind)


@celeryd_init.connect
def _declare_link_queues(conf: Any, options: dict[str, Any], **_: Any) -> None:
    """A link's queue is known to the worker that was asked to consume it, and to nobody else."""
    asked = options.get("queues") or []
    names = asked.split(",") if isinstance(asked, str) else asked
    conf.task_queues = [*conf.task_queues, *(queue_of(name) for name in names if name.startswith("link."))]
