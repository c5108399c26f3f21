"""Card numbers made unreadable, alone or in what people write. Pure; the lowest rule of all, for every package."""

import re
from typing import Final

_PAN_IN_TEXT: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9]{13,19}(?![0-9A-Za-z-])")
#: as it stands on the card, and so as people type it: in groups with spaces or dashes between them
_GROUPED_IN_TEXT: Final = re.compile(
    r"(?<![0-9A-Za-z-])[0-9]{4}([ -])(?:[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|[0-9]{6}\1[0-9]{4,5})(?![0-9A-Za-z-])"
)
_DOUBLED: Final = "0246813579"


def mask_pan(pan: str) -> str:
    """Return the first six and the last four digits, the rest starred."""
    if len(pan) < 11:
        return "*" * len(pan)
    return f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}"


def luhn_fits(digits: str) -> bool:
    """True when the last digit checks the others, as a card number's does."""
    total = sum(int(d) if i % 2 == 0 else int(_DOUBLED[int(d)]) for i, d in enumerate(reversed(digits)))
    return total % 10 == 0


def mask_text(text: str) -> str:
    """Return a text with every card number in it masked."""
    return _GROUPED_IN_TEXT.sub(_masked, _PAN_IN_TEXT.sub(_masked, text))


def _masked(found: re.Match[str]) -> str:
    digits = found.group().replace(" ", "").replace("-", "")
    return mask_pan(digits) if luhn_fits(digits) else found.group()
