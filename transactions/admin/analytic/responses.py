"""What the bank answered."""

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from processor.codec.describe import CODE_MEANINGS
from transactions import reporting
from transactions.admin.analytic.tables import NOTHING, Report, Table, bars, cells, count, share
from transactions.domain.values import Outcome
from transactions.reporting import Found
from transactions.reports.period import Asked

_APPROVED: Final = "00"
_UNKNOWN: Final = gettext_noop("unknown code")
_OPEN: Final = gettext_noop("not answered yet")
_SILENT: Final = gettext_noop("no answer")


def _code_tables(found: Found, _asked: Asked) -> list[Table]:
    answers = _answers(found)
    if not answers:
        return []
    total = sum(answers.values())
    others = [(key, number) for key, number in answers.items() if key[0] != _APPROVED]
    return [
        Table(
            title=_("What the bank answered"),
            words=[_("Code"), _("Meaning")],
            numbers=[_("Attempts"), _("Share")],
            rows=[
                cells(code or NOTHING, _(meaning), count(number), share(number, total))
                for (code, meaning), number in answers.items()
            ],
            chart=bars(
                [f"{code} {_(meaning)}".strip() for (code, meaning), _number in others],
                _("Attempts, without approvals"),
                [number for _key, number in others],
                "bad",
            )
            if others
            else None,
        )
    ]


def _answers(found: Found) -> dict[tuple[str, str], int]:
    """Return how many attempts were answered how, most first: by code and what it means."""
    counted: dict[tuple[str, str], int] = {}
    for row in found.parts[0]:
        key = (row.code or "", _meaning(row.code, row.outcome))
        counted[key] = counted.get(key, 0) + row.attempts
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _meaning(code: str | None, outcome: str) -> str:
    if code:
        return CODE_MEANINGS.get(code, _UNKNOWN)
    return _OPEN if outcome == Outcome.OPEN else _SILENT


def _code_lines(found: Found, _asked: Asked) -> list[list[Any]]:
    return [[code, meaning, number] for (code, meaning), number in _answers(found).items()]


RESPONSES: Final = Report(
    name="responses",
    title=gettext_lazy("Response codes"),
    rule=gettext_lazy(
        "Every attempt counts with the response code (field 39) of its answer: a payment that was tried again has "
        "several. Reversals do not count, nor does what was never sent."
    ),
    read=reporting.codes,
    tables=_code_tables,
    head="code meaning attempts".split(),
    lines=_code_lines,
)
