"""Finding payments among millions: by anything they are called, by filters, page after page, always by an index.

A page begins where the last one ended (ids are in the order of acceptance), nothing is counted, and what no index knows
is looked for through a bounded stretch at a time: the answer says how far it has looked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q, Subquery, Value

from processor.models import Link
from transactions.domain.money import currencies_with, exponent, is_currency
from transactions.domain.values import Status
from transactions.models import Attempt, Event, Merchant, Payment

if TYPE_CHECKING:
    from django.db.models import QuerySet

PAGE: Final = 25
#: so many payments are looked through at once for what no index knows: some 50 ms
_STRETCH: Final = 50_000
#: so many of a seldom end are looked at for the other filters
_SELDOM: Final = 2_000
#: ids carry the time of the machine that made them, which may be set wrong by so much
WRONG_CLOCK: Final = timedelta(hours=1)
#: that an id has room for (UUIDv7)
_LAST_MILLISECOND: Final = 2**48 - 1

#: its last four, alone or as a masked card is shown
_CARD: Final = re.compile(r"(?:[0-9]{6}\*+)?(?P<last>[0-9]{4})\Z")
_STAN: Final = re.compile(r"[0-9]{1,6}\Z")
_RRN: Final = re.compile(r"[0-9A-Za-z]{12}\Z")
_CODE: Final = re.compile(r"[0-9A-Za-z]{1,6}\Z")
_AMOUNT: Final = re.compile(r"(?:(?P<currency>[A-Za-z]{3})\s*)?(?P<number>[0-9][0-9,]{0,18}(?:\.[0-9]{1,4})?)\Z")

#: Ends that few payments come to, by the events that tell of them: events are only added, so their index costs a
#: payment that is approved nothing.
SELDOM: Final = {
    Status.REVERSED: ("Reversed", "Resolved"),
    Status.EXPIRED: ("Expired",),
    Status.CANCELLED: ("Cancelled",),
    Status.FAILED: ("Failed",),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person looks for; the first page has neither `before` nor `after`."""

    term: str = ""
    status: str = ""
    #: True where anything narrows it
    is_filtered: bool = False
    #: True where something narrows it that no index knows
    is_narrowed: bool = False
    before: UUID | None = None
    after: UUID | None = None
    #: when it was accepted
    since: datetime | None = None
    until: datetime | None = None

    @property
    def order(self) -> str:
        """Newest first, unless a newer page is asked for."""
        return "id" if self.after else "-id"

    def bounds(self, name: str = "id") -> Q:
        """Return between which ids this page lies."""
        condition = _ids_between(self.since, self.until, name)
        if self.before:
            condition &= Q(**{f"{name}__lt": self.before})
        if self.after:
            condition &= Q(**{f"{name}__gt": self.after})
        return condition


@dataclass(frozen=True, slots=True)
class Found:
    """One page, newest first, and where the next ones begin."""

    payments: "list[Payment]"
    older: UUID | None
    newer: UUID | None
    #: how far was looked, where there may be more beyond
    looked_back_to: datetime | None


def find(payments: "QuerySet[Payment]", wanted: Wanted) -> Found:
    """Return a page of the payments that the filters left."""
    backwards = wanted.after is not None
    reachable = payments.order_by(wanted.order).filter(wanted.bounds())
    within, edge = _called(reachable, wanted) if wanted.term else _within(reachable, wanted)
    found = list(within.select_related(None)[: PAGE + 1])
    has_more = len(found) > PAGE
    page = found[:PAGE]
    if backwards:
        page.reverse()
        has_older, has_newer = bool(page), has_more
    else:
        has_older, has_newer = has_more, wanted.before is not None
    beyond = edge if not has_more and not backwards else None
    return Found(
        payments=page,
        older=page[-1].id if has_older and page else beyond,
        newer=page[0].id if has_newer and page else None,
        looked_back_to=made_at(beyond) if beyond else None,
    )


def _within(reachable: "QuerySet[Payment]", wanted: Wanted) -> "tuple[QuerySet[Payment], UUID | None]":
    """Return what is to be looked through now, and its far end where there is something beyond."""
    status = Status(wanted.status) if wanted.status in set(Status) else None
    if status in SELDOM and not wanted.after:
        ids = _seldom(SELDOM[status], wanted)
        return reachable.filter(id__in=ids), ids[-1] if len(ids) >= _SELDOM else None
    if status and not status.is_final:
        return reachable.filter(ended_at=None), None
    if not wanted.is_narrowed:
        return reachable, None
    everything = Payment.objects.order_by(wanted.order).filter(wanted.bounds())
    edge = everything.values_list("id", flat=True)[_STRETCH : _STRETCH + 1].first()
    return _up_to(reachable, edge, wanted), edge


def _up_to(payments: "QuerySet[Payment]", edge: UUID | None, wanted: Wanted) -> "QuerySet[Payment]":
    if edge is None:
        return payments
    return payments.filter(id__lte=edge) if wanted.after else payments.filter(id__gte=edge)


def _seldom(types: tuple[str, ...], wanted: Wanted) -> list[UUID]:
    """Return the newest payments that came to such an end, newest first."""
    ids: set[UUID] = set()
    for kind in types:
        told = Event.objects.filter(wanted.bounds("payment_id"), type=kind)
        ids.update(told.order_by("-payment_id").values_list("payment_id", flat=True)[:_SELDOM])
    return sorted(ids, reverse=True)[:_SELDOM]


def _called(payments: "QuerySet[Payment]", wanted: Wanted) -> "tuple[QuerySet[Payment], UUID | None]":
    """Return those that a term may mean, each meaning asked of its own index, and how far that looked.

    With filters beside it, so many of each meaning are looked at: the planner knows how often an amount comes, not how
    often with these filters.
    """
    at_most = _SELDOM if wanted.is_filtered else PAGE + 1
    asked = Payment.objects.filter(wanted.bounds()) if wanted.is_filtered else payments
    found = [
        asked.filter(meaning).order_by(wanted.order).annotate(place=Value(place)).values_list("id", "place")[:at_most]
        for place, meaning in enumerate(meanings(wanted.term))
    ]
    ids: dict[int, list[UUID]] = {}
    for one, place in found[0].union(*found[1:], all=True):
        ids.setdefault(place, []).append(one)
    ends = [min(of_one) for of_one in ids.values() if wanted.is_filtered and len(of_one) == at_most]
    edge = max(ends) if ends and not wanted.after else None
    named = payments.filter(id__in=[one for of_one in ids.values() for one in of_one])
    return _up_to(named, edge, wanted), edge


def meanings(term: str) -> list[Q]:
    """Return what a term may stand for, by its form."""
    found = [
        Q(reference=term),
        Q(merchant_id__in=Subquery(Merchant.objects.values("id")), idempotency_key=term),
        *_ids(term),
    ]
    if card := _CARD.match(term):
        found.append(Q(card_last4=card["last"]))
    if _STAN.match(term):
        found.append(_with_attempt(Q(link__in=Subquery(Link.objects.values("name")), stan=int(term))))
    if _RRN.match(term):
        found += [_with_attempt(Q(rrn=term)), _with_attempt(Q(host_rrn=term))]
    if _CODE.match(term):
        found.append(Q(authorisation_code=term))
    if worth := reduce(Q.__or__, _amounts(term), Q()):
        found += [worth & Q(ended_at__isnull=False), worth & Q(ended_at=None)]
    return found


def _ids(term: str) -> Iterator[Q]:
    """Clients like such ids for their keys and references too, so an id is one meaning among others."""
    try:
        yield Q(id=UUID(term))
    except ValueError:
        return


def _with_attempt(condition: Q) -> Q:
    return Q(id__in=Attempt.objects.filter(condition).values("payment_id"))


def _amounts(term: str) -> Iterator[Q]:
    """A number is an amount as it is shown, of a currency that is named or of any."""
    match = _AMOUNT.match(term)
    if not match:
        return
    try:
        number = Decimal(match["number"].replace(",", ""))
    except InvalidOperation:
        return
    currency = (match["currency"] or "").upper()
    if currency and is_currency(currency):
        yield from _worth(number, exponent(currency), {currency})
    elif not currency:
        for digits, codes in currencies_with().items():
            yield from _worth(number, digits, codes)


def _worth(number: Decimal, digits: int, currencies: set[str]) -> Iterator[Q]:
    minor = number.scaleb(digits)
    if minor == minor.to_integral_value():
        yield Q(amount=int(minor), currency__in=currencies)


def accepted_between(since: datetime | None, until: datetime | None) -> Q:
    """Return the condition for a span of acceptance: by the ids, which are indexed, and exactly by the time."""
    condition = _ids_between(since, until, "id")
    if since:
        condition &= Q(created_at__gte=since)
    if until:
        condition &= Q(created_at__lt=until)
    return condition


def _ids_between(since: datetime | None, until: datetime | None, name: str) -> Q:
    condition = Q()
    if since:
        condition &= Q(**{f"{name}__gte": first_id(since, -WRONG_CLOCK)})
    if until:
        condition &= Q(**{f"{name}__lt": first_id(until, WRONG_CLOCK)})
    return condition


def made_at(payment_id: UUID) -> datetime:
    """Return the time that an id carries (UUIDv7)."""
    return datetime.fromtimestamp((payment_id.int >> 80) / 1000, UTC)


def first_id(moment: datetime, later: timedelta = timedelta()) -> UUID:
    """Return the lowest id of a millisecond, so much later; of one that no id can carry, the nearest that one can."""
    milliseconds = int((moment.timestamp() + later.total_seconds()) * 1000)
    return UUID(int=min(max(0, milliseconds), _LAST_MILLISECOND) << 80)
