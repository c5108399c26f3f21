"""`manage.py demo`: what a newcomer needs to try everything: a merchant, a key, a login, a link to the simulator."""

import json
import secrets
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand
from django.db import transaction

from processor import links
from processor.keys.store import install
from processor.management.commands.simulator import TEST_BANK, TEST_TPK, TEST_TSK
from processor.models import Key
from staff.roles import ROLES
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
        known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
        with transaction.atomic():
            merchant, _created = Merchant.objects.get_or_create(name=MERCHANT)
            _link(simulator, known)
            known = {
                "api_key": _api_key(merchant, known),
                "admin_password": _login(ADMIN, known.get("admin_password"), is_superuser=True),
                "staff": _staff(known.get("staff", {})),
            }
        _keep(kept, {**known, "simulator": simulator})
        services = {"database_url": settings.DATABASE_URL, "broker_url": settings.BROKER_URL}
        self.stdout.write(json.dumps({**known, "merchant": merchant.name, "admin_user": ADMIN, **services}))


def _api_key(merchant: Merchant, known: dict[str, Any]) -> str:
    """Only a key's hash is stored: without the kept one, a new one is made."""
    if (key := known.get("api_key")) and ApiKey.objects.is_valid(key):
        return str(key)
    _, key = ApiKey.objects.create_key(name="demo", merchant=merchant, scopes=["read", "pay", "webhooks", "operate"])
    return str(key)


def _staff(known: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """One login of each role: {role: {user, password}}."""
    logins = {}
    for role in ROLES:
        user = role.name.split()[0]
        password = _login(user, known.get(role.name, {}).get("password"))
        get_user_model().objects.get(username=user).groups.set(Group.objects.filter(name=role.name))
        logins[role.name] = {"user": user, "password": password}
    return logins


def _login(username: str, password: str | None, *, is_superuser: bool = False) -> str:
    """Return the password of a member of staff: the one that is known where it still opens, else a new one."""
    defaults = {"is_staff": True, "is_superuser": is_superuser}
    user, created = get_user_model().objects.get_or_create(username=username, defaults=defaults)
    if created or password is None or not user.check_password(password):
        password = secrets.token_urlsafe(9)
        user.set_password(password)
        user.save()
    return password


def _link(simulator: str, known: Mapping[str, Any]) -> None:
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


def _keep(path: Path, known: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(known))
