"""What was measured, beside what was wanted: a table to read, and JSON to compare."""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: `target` and `stretch` are as SPEED's table says them, empty for a floor or a detail."""

    what: str
    value: float
    unit: str
    target: float | None = None
    stretch: float | None = None
    more_is_better: bool = False
    #: what the figure is made of, by process group or part
    parts: Mapping[str, float] | None = None

    @property
    def verdict(self) -> str:
        """Where it stands; empty without a target."""
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch"
        if self.target is not None:
            return "target" if self._reaches(self.target) else "MISSED"
        return ""

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.more_is_better else self.value <= bound


def table(title: str, figures: Sequence[Figure]) -> str:
    """Return figures as text."""
    rows = [
        (figure.what, f"{_number(figure.value)} {figure.unit}", _wanted(figure), figure.verdict) for figure in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [title, "-" * len(title)]
    for figure, (what, value, wanted, verdict) in zip(figures, rows, strict=True):
        lines.append(f"{what:{widths[0]}}  {value:>{widths[1]}}  {wanted:>{widths[2]}}  {verdict}".rstrip())
        if figure.parts:
            lines.append("    " + ", ".join(f"{name} {_number(value)}" for name, value in figure.parts.items()))
    return "\n".join(lines)


def write(path: Path, floors: Sequence[Figure], figures: Sequence[Figure]) -> None:
    """Keep them for a comparison."""
    machine = {"python": sys.version.split()[0], "machine": platform.machine(), "kernel": platform.release()}
    rows = {
        "machine": machine,
        "floors": [asdict(figure) for figure in floors],
        "figures": [asdict(figure) | {"verdict": figure.verdict} for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")


def _wanted(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≥" if figure.more_is_better else "≤"
    stretch = f" ({_number(figure.stretch)})" if figure.stretch is not None else ""
    return f"{sign} {_number(figure.target)}{stretch}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
