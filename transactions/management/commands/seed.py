"""`manage.py seed --payments N`: a plausible past to look at: payments of the last 90 days, ended."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transactions.seeding.loading import RealPayments, seed


class Command(BaseCommand):
    help = "Load payments that ended in the last 90 days, with events, attempts and messages. Nothing is sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--payments", type=int, default=10_000, metavar="N")
        parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that make them")
        parser.add_argument("--beside-real", action="store_true", help="although there are payments that were carried")

    def handle(self, payments: int, workers: int, *, beside_real: bool, **_: Any) -> None:
        began = time.monotonic()
        every = max(payments // 20, 1)

        def tell(done: int) -> None:
            if done // every > (done - 5_000) // every:
                self.stderr.write(f"{done:,} of {payments:,} after {time.monotonic() - began:.0f} s")

        try:
            seed(payments, tell, beside_real=beside_real, workers=workers)
        except RealPayments:
            raise CommandError(
                "This database holds payments that were carried. Seed another one, or say --beside-real."
            ) from None
        except LookupError:
            raise CommandError("There is no link to have carried them. Make one first: manage.py link.") from None
        self.stdout.write(f"{payments:,} payments loaded in {time.monotonic() - began:.0f} s.")
