"""`manage.py rebuild`: fold all events again and compare with what the tables say."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transactions import auditing
from transactions.models import Payment


class Command(BaseCommand):
    help = "Fold every payment's events again and report where the read model differs. Changes nothing."

    def handle(self, **_: Any) -> None:
        found = 0
        for difference in auditing.differences():
            found += 1
            self.stdout.write(str(difference))
        if found:
            raise CommandError(f"{found} differences in {Payment.objects.count()} payments.")
        self.stdout.write(f"{Payment.objects.count()} payments rebuilt: every row is what its events say.")
