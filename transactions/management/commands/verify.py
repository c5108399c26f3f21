"""`manage.py verify`: does everything hold that must always hold?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transactions import auditing
from transactions.models import Payment


class Command(BaseCommand):
    help = "Check the hash chains and every invariant that the database can show. Changes nothing."

    def handle(self, **_: Any) -> None:
        found = 0
        for violation in auditing.violations():
            found += 1
            self.stdout.write(str(violation))
        if found:
            raise CommandError(f"{found} violations in {Payment.objects.count()} payments.")
        self.stdout.write(f"{Payment.objects.count()} payments verified: nothing is wrong.")
