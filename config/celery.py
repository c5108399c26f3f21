"""The Celery application: a doorbell's ear. Work and time live in PostgreSQL, never in a message."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging, worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", "8")

from django.conf import settings

from config.garbage import collect_less
from queueing.broker import queue_of
from queueing.doorbell import FORWARD, MAINTENANCE, SETTLE

QUEUES = (FORWARD, SETTLE, "webhooks", MAINTENANCE)

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
            "schedule": settings.RECOVERY_SECONDS,
            "options": {"queue": MAINTENANCE, "expires": settings.RECOVERY_SECONDS},
        }
    },
    beat_max_loop_interval=60,
    timezone="UTC",
)
app.autodiscover_tasks()
worker_ready.connect(collect_less)
app.steps["worker"].add("processor.worker:LinkStep")


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    """Connected, this keeps Celery from setting up its own."""


@worker_init.connect
@beat_init.connect
def _serve_metrics(**_: Any) -> None:
    from config.metrics import serve  # noqa: PLC0415  (needs the apps)

    serve(settings.METRICS_PORT)


@celeryd_init.connect
def _declare_link_queues(conf: Any, options: dict[str, Any], **_: Any) -> None:
    """A link's queue is known to the worker that was asked to consume it, and to nobody else."""
    asked = options.get("queues") or []
    names = asked.split(",") if isinstance(asked, str) else asked
    conf.task_queues = [*conf.task_queues, *(queue_of(name) for name in names if name.startswith("link."))]
