"""Card numbers made unreadable, alone or in what people write. Pure; the lowest rule of all, for every package."""

import re
from typing import Final

_PAN_IN_TEXT: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9]{13,19}(?![0-9A-Za-z-])")
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
    return _PAN_IN_TEXT.sub(lambda found: mask_pan(found.group()) if luhn_fits(found.group()) else found.group(), text)
