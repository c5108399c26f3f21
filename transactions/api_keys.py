"""A merchant's API keys: made, changed, replaced, revoked. One asks, another agrees, and alone is told a new secret.

Nothing here keeps a secret: only its hash is in the database.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from staff import requests
from staff.audit import Actor, subject_of
from staff.models import Request
from staff.requests import Done, Kind, NotDone, NotPossible
from transactions.models import ApiKey, Merchant

MAKE: Final = "make_api_key"
CHANGE: Final = "change_api_key"
REPLACE: Final = "replace_api_key"
REVOKE: Final = "revoke_api_key"
#: what a key may be allowed
SCOPES: Final = {
    "read": gettext_lazy("read payments"),
    "pay": gettext_lazy("post and cancel payments"),
    "webhooks": gettext_lazy("keep webhook endpoints"),
    "operate": gettext_lazy("operate links"),
}
_REPLACE_OR_REVOKE: Final = "transactions.replace_apikey"
#: kind -> who may ask for it
ASK: Final = {
    MAKE: "transactions.add_apikey",
    CHANGE: "transactions.change_apikey",
    REPLACE: _REPLACE_OR_REVOKE,
    REVOKE: _REPLACE_OR_REVOKE,
}
_APPROVE: Final = "transactions.approve_apikey"
#: hours for which a replaced key may go on: none, one day, three, a week
_OVERLAP_WORDS: Final = {
    0: gettext_lazy("not at all: it ends at once"),
    24: gettext_lazy("one day"),
    72: gettext_lazy("three days"),
    168: gettext_lazy("a week"),
}
OVERLAPS: Final = tuple(_OVERLAP_WORDS)


def kinds() -> Sequence[Kind]:
    """Return the kinds of requests about API keys."""
    return (
        Kind(
            MAKE,
            gettext_lazy("New API key"),
            gettext_lazy(
                "A key of this merchant is made; its secret is shown once, to who agrees, and kept nowhere. Whoever "
                "holds the secret may do what the key may."
            ),
            ASK[MAKE],
            _APPROVE,
            _make,
            _make_facts,
        ),
        Kind(
            CHANGE,
            gettext_lazy("Other scopes of an API key"),
            gettext_lazy("Whoever holds the key may do what is asked for here within seconds, and nothing else."),
            ASK[CHANGE],
            _APPROVE,
            _change,
            _change_facts,
        ),
        Kind(
            REPLACE,
            gettext_lazy("New API key in place of another"),
            gettext_lazy(
                "A key with the same name, merchant and scopes is made; its secret is shown once, to who agrees, and "
                "kept nowhere. Both keys work for the hours that were asked for, then only the new one."
            ),
            ASK[REPLACE],
            _APPROVE,
            _replace,
            _replace_facts,
        ),
        Kind(
            REVOKE,
            gettext_lazy("Revocation of an API key"),
            gettext_lazy(
                "Whoever holds the key is refused with 401 within seconds, for good. Payments that were accepted with "
                "it go on."
            ),
            ASK[REVOKE],
            _APPROVE,
            _revoke,
            _facts,
        ),
    )


def ask_for_new(
    merchant: Merchant, by: Actor, reason: str, *, name: str, scopes: Sequence[str], expiry_date: datetime | None
) -> Request:
    """Ask a second person for a merchant's new key; raises PermissionDenied, or NotPossible if one waits already."""
    expires = expiry_date.isoformat() if expiry_date else None
    wanted = {"name": name, "scopes": list(scopes), "expiry_date": expires}
    return requests.ask(MAKE, subject_of(merchant), by, reason, wanted)


def ask(kind: str, key: ApiKey, by: Actor, reason: str, **wanted: Any) -> Request:
    """Ask a second person; raises PermissionDenied, or NotPossible for a key that works no more or is asked about."""
    if objection := objection_to(key):
        raise NotPossible(objection)
    if kind == CHANGE:
        if sorted(wanted["scopes"]) == sorted(key.scopes):
            raise NotPossible(_("The key may do just this already."))
        wanted["before"] = key.scopes
    return requests.ask(kind, subject_of(key), by, reason, wanted)


def objection_to(key: ApiKey) -> str:
    """Return why nothing can be asked about a key any more; empty when it can."""
    if key.revoked:
        return _("This key is revoked already.")
    return _("This key has expired already.") if key.has_expired else ""


def described(kind: str) -> tuple[Any, Any]:
    """Return what a kind of request is called, and what it would do."""
    found = next(one for one in kinds() if one.code == kind)
    return found.title, found.meaning


def asked_about(key: ApiKey) -> list[Request]:
    """Return what waits for a second person about a key."""
    return list(requests.waiting(subject_of(key)))


def _make(asked: Request) -> Done:
    wanted = asked.parameters
    expires = datetime.fromisoformat(wanted["expiry_date"]) if wanted["expiry_date"] else None
    if expires and expires <= timezone.now():
        raise NotDone(_("The key would have expired already: ask again with a later date."))
    merchant = Merchant.objects.get(pk=asked.subject)
    made, secret = ApiKey.objects.create_key(
        name=wanted["name"], merchant=merchant, scopes=wanted["scopes"], expiry_date=expires
    )
    named = {"key": made.prefix, "name": made.name, "merchant": merchant}
    return Done(_("%(key)s, %(name)s, is a key of %(merchant)s now.") % named, secret=secret)


def _change(asked: Request) -> str:
    key = _locked(asked)
    if key.scopes != asked.parameters["before"]:
        raise NotDone(_("What the key may was changed meanwhile: look again."))
    ApiKey.objects.filter(pk=key.pk).update(scopes=asked.parameters["scopes"])
    return _("%(key)s may now: %(scopes)s.") % {"key": key.prefix, "scopes": scope_words(asked.parameters["scopes"])}


def _replace(asked: Request) -> Done:
    old, hours = _locked(asked), int(asked.parameters["overlap_hours"])
    lives = old.expiry_date - old.created if old.expiry_date else None
    made, secret = ApiKey.objects.create_key(
        name=old.name,
        merchant=old.merchant,
        scopes=old.scopes,
        expiry_date=timezone.now() + lives if lives else None,
    )
    if hours:
        until = Now() + timedelta(hours=hours)
        ApiKey.objects.filter(Q(expiry_date=None) | Q(expiry_date__gt=until), pk=old.pk).update(expiry_date=until)
        sentence = _("%(new)s is in place of %(old)s. How long that one still works: %(hours)s.")
    else:
        ApiKey.objects.filter(pk=old.pk).update(revoked=True)
        sentence = _("%(new)s is in place of %(old)s, which works no more.")
    return Done(sentence % {"new": made.prefix, "old": old.prefix, "hours": overlap_words(hours)}, secret=secret)


def _revoke(asked: Request) -> Done:
    key = _locked(asked)
    ApiKey.objects.filter(pk=key.pk).update(revoked=True)
    return Done(_("%(key)s is revoked.") % {"key": key.prefix})


def _locked(asked: Request) -> ApiKey:
    key: ApiKey = ApiKey.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=asked.subject)
    if objection := objection_to(key):
        raise NotDone(objection)
    return key


def _facts(asked: Request) -> list[tuple[str, Any]]:
    key = ApiKey.objects.select_related("merchant").get(pk=asked.subject)
    return [
        (_("Key"), f"{key.prefix}, {key.name}"),
        (_("Merchant"), key.merchant),
        (_("May"), scope_words(key.scopes)),
        (_("Made"), key.created),
        *([(_("Expires"), key.expiry_date)] if key.expiry_date else []),
    ]


def _make_facts(asked: Request) -> list[tuple[str, Any]]:
    wanted = asked.parameters
    return [
        (_("Name"), wanted["name"]),
        (_("Merchant"), Merchant.objects.get(pk=asked.subject)),
        (_("May"), scope_words(wanted["scopes"])),
        *([(_("Expires"), datetime.fromisoformat(wanted["expiry_date"]))] if wanted["expiry_date"] else []),
    ]


def _change_facts(asked: Request) -> list[tuple[str, Any]]:
    return [*_facts(asked), (_("Shall be allowed"), scope_words(asked.parameters["scopes"]))]


def _replace_facts(asked: Request) -> list[tuple[str, Any]]:
    return [*_facts(asked), (_("Works beside the new one"), overlap_words(int(asked.parameters["overlap_hours"])))]


def scope_words(scopes: Sequence[str]) -> str:
    """Return in words what a key may."""
    return ", ".join(str(SCOPES.get(scope, scope)) for scope in scopes)


def overlap_words(hours: int) -> Any:
    """Return in words, in the reader's language, how long a replaced key goes on."""
    return _OVERLAP_WORDS[hours]
