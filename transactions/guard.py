"""What waits for who guards the house, as values: requests to decide, keys that end soon, sign-ins refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Q

from staff import requests
from staff.audit import Actor, Result
from staff.models import Record, Request
from transactions.models import ApiKey

KEYS_DAYS: Final = 30
_SIGN_INS: Final = timedelta(days=1)
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What this person may see of it; None is what they may not."""

    requests: Sequence[Request]
    #: the one that ends first comes first
    keys: Sequence[ApiKey] | None
    #: each name with how often (`times`), whether it was locked out (`locked`) and when last, most often first
    refused: Sequence[dict[str, Any]] | None


def read(by: Actor, now: datetime) -> Figures:
    """Read it; a day of sign-ins at most, by index."""
    decided = [kind.code for kind in requests.kinds() if by.may(kind.approve)]
    return Figures(
        requests=list(requests.waiting().filter(kind__in=decided).exclude(maker=by.name)[:_SHOWN]),
        keys=_keys(now) if by.may("transactions.view_apikey") else None,
        refused=_refused(now) if by.may("staff.view_record") else None,
    )


def _keys(now: datetime) -> Sequence[ApiKey]:
    ending = ApiKey.objects.filter(revoked=False, expiry_date__gt=now, expiry_date__lt=now + timedelta(days=KEYS_DAYS))
    return list(ending.select_related("merchant").order_by("expiry_date")[:_SHOWN])


def _refused(now: datetime) -> Sequence[dict[str, Any]]:
    wrong = Record.objects.filter(
        action="sign_in", at__gt=now - _SIGN_INS, result__in=[Result.FAILED, Result.REFUSED]
    ).values("who")
    locked = Count("id", filter=Q(result=Result.REFUSED))
    named = wrong.annotate(times=Count("id", filter=Q(result=Result.FAILED)), locked=locked, last=Max("at"))
    return [dict(row) for row in named.order_by("-times", "-last")[:_SHOWN]]
