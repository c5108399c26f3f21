"""`manage.py demo`: what a newcomer needs to try everything: a merchant, a key, a login, a link to the simulator."""

import json
import secrets
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from processor import links
from processor.keys.store import install
from processor.management.commands.simulator import TEST_BANK, TEST_TPK, TEST_TSK
from processor.models import Key
from transactions.models import ApiKey, Merchant

MERCHANT: Final = "Demo Merchant"
ADMIN: Final = "admin"
LINK: Final = "bank"


class Command(BaseCommand):
    help = "Create demonstration data where it is missing, and print its secrets as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--simulator", default="127.0.0.1:22222", metavar="HOST:PORT")

    def handle(self, simulator: str, **_: Any) -> None:
        kept = settings.STATE_DIR / "secrets" / "demo.json"
        known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
        with transaction.atomic():
            merchant, _created = Merchant.objects.get_or_create(name=MERCHANT)
            _link(simulator, known)
            known = {"api_key": _api_key(merchant, known), "admin_password": _admin(known)}
        _keep(kept, {**known, "simulator": simulator})
        services = {"database_url": settings.DATABASE_URL, "broker_url": settings.BROKER_URL}
        self.stdout.write(json.dumps({**known, "merchant": merchant.name, "admin_user": ADMIN, **services}))


def _api_key(merchant: Merchant, known: dict[str, str]) -> str:
    """Only a key's hash is stored: without the kept one, a new one is made."""
    if (key := known.get("api_key")) and ApiKey.objects.is_valid(key):
        return key
    _, key = ApiKey.objects.create_key(name="demo", merchant=merchant, scopes=["read", "pay", "operate"])
    return str(key)


def _admin(known: dict[str, str]) -> str:
    users = get_user_model().objects
    admin, created = users.get_or_create(username=ADMIN, defaults={"is_staff": True, "is_superuser": True})
    password = known.get("admin_password")
    if created or password is None or not admin.check_password(password):
        password = secrets.token_urlsafe(9)
        admin.set_password(password)
        admin.save()
    return password


def _link(simulator: str, known: Mapping[str, str]) -> None:
    """The link follows the simulator to another port, unless somebody has sent it elsewhere meanwhile."""
    host, _, port = simulator.rpartition(":")
    endpoints = [(host, int(port))]
    config = links.read(LINK)
    if config and config.endpoints != tuple(endpoints) and known.get("simulator") == _address(config.endpoints):
        links.configure(LINK, {}, endpoints)
    if config is None:
        facts = {
            "dialect": "bank-ascii87",
            "framing": "ascii4",
            "terminal_id": "ATM-001",
            "card_acceptor_id": "TRM-ISS001",
            "bank_uuid": TEST_BANK,
        }
        link = links.configure(LINK, facts, endpoints)
        install(link, Key.Type.TPK, bytes.fromhex(TEST_TPK))
        install(link, Key.Type.TSK, bytes.fromhex(TEST_TSK))


def _address(endpoints: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"{host}:{port}" for host, port in endpoints)


def _keep(path: Path, known: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(known))
