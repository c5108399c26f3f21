"""The Celery tasks: each is a ring answered. Short, repeatable, harmless when there is nothing to do."""

from celery import shared_task

from staff import requests
from transactions import bulk, forwarding, minutes, reconciliation, recovery, settling
from transactions.webhooks.delivering import deliver_soon


@shared_task(ignore_result=True)
def forward() -> None:
    """Dispatch what is ready."""
    forwarding.forward()


@shared_task(ignore_result=True)
def settle() -> None:
    """Settle what was filed."""
    settling.settle()


@shared_task(ignore_result=True)
def work_on_jobs() -> None:
    """Do what staff asked for many payments at once, and compare the bank's files."""
    bulk.work()
    reconciliation.work()


@shared_task(ignore_result=True)
def recover() -> None:
    """Find what was dropped, and end what no second person agreed to in time."""
    recovery.in_turn(recovery.recover, requests.expire, bulk.resume, reconciliation.resume)


@shared_task(ignore_result=True)
def roll_up() -> None:
    """Sum up the last minutes for the desk."""
    minutes.roll_up()


@shared_task(ignore_result=True)
def deliver() -> None:
    """Deliver webhooks that are due, besides this worker's other work."""
    deliver_soon()
