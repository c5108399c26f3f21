"""Writes down who did what, when, from where, to what, why, and what came of it. The only door to the audit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Model
from django.http import HttpRequest

from staff.masking import mask_text
from staff.models import Record

Result = Record.Result
_LONGEST: Final = 200


def _nothing(_permission: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, from where, and what they may: `may("app.codename")`."""

    name: str
    address: str = ""
    agent: str = ""
    may: Callable[[str], bool] = field(default=_nothing, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """What it is done to: a model's label with a key, or another word with a name."""

    kind: str
    key: str


FERRYMAN: Final = Actor("ferryman")


def subject_of(row: Model) -> Subject:
    """Return a row as the subject of what is done."""
    return Subject(row._meta.label_lower, str(row.pk))  # noqa: SLF001  (Django's documented way)


def actor_of(request: HttpRequest, user: AbstractUser | AnonymousUser | None = None) -> Actor:
    """Return who asks; `user` is for the moments at which the request does not know it yet."""
    person = user or getattr(request, "user", None)
    name = person.get_username() if person else ""
    seen, named = (request.META.get(header, "") for header in ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR"))
    address = f"{seen} for {named}" if named else seen
    may = person.has_perm if person else _nothing
    return Actor(name or "nobody", _brief(address), _brief(request.headers.get("User-Agent", "")), may)


def record(
    action: str,
    actor: Actor,
    result: Record.Result = Result.DONE,
    *,
    subject: Subject | None = None,
    why: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one record, in the transaction of what it tells of where there is one; card numbers are masked."""
    Record.objects.create(
        who=_brief(actor.name),
        address=actor.address,
        agent=actor.agent,
        action=action,
        kind=subject.kind if subject else "",
        subject=_brief(subject.key) if subject else "",
        result=result,
        why=mask_text(why),
        detail=_masked(dict(detail or {})),
    )


def _brief(text: str) -> str:
    """What a stranger may have sent, harmless and short."""
    return mask_text("".join(char if char.isprintable() else "?" for char in text))[:_LONGEST]


def _masked(value: Any) -> Any:
    """Return a JSON value with every card number in it masked."""
    if isinstance(value, Mapping):
        return {str(name): _masked(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_masked(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if mask_text(str(value)) == str(value) else mask_text(str(value))
    return mask_text(str(value))
