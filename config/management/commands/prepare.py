"""`manage.py prepare`: all that has to be true before the processes of `make run` start, in one process."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Bring the database and the static files up to date, create demonstration data, and print it as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--simulator", default="127.0.0.1:22222", metavar="HOST:PORT")

    def handle(self, simulator: str, **_: Any) -> None:
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("demo", simulator=simulator, stdout=self.stdout)
