"""The Celery tasks: each is a ring answered. Short, repeatable, harmless when there is nothing to do."""

from celery import shared_task

from transactions import forwarding, recovery, settling


@shared_task(ignore_result=True)
def forward() -> None:
    """Dispatch what is ready."""
    forwarding.forward()


@shared_task(ignore_result=True)
def settle() -> None:
    """Settle what was filed."""
    settling.settle()


@shared_task(ignore_result=True)
def recover() -> None:
    """Find what was dropped."""
    recovery.recover()
