"""The link worker's only task: somebody rang."""

from typing import Any

from celery import shared_task

from processor.worker import look as pass_on


@shared_task(bind=True, ignore_result=True)
def look(self: Any) -> None:
    """Pass the ring on to the holder of the link."""
    pass_on(self.request.delivery_info["routing_key"])
