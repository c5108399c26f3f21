"""Says to people in their language what packages that know no translator have said in English.

A phrasebook holds phrases as translators know them; `%(name)s` stands for what differs from time to time. What it does
not hold is said as it is.
"""

import re
from collections.abc import Iterable
from typing import Final

from django.utils.translation import get_language, gettext

_GAP: Final = re.compile(r"%\\\((\w+)\\\)s")


def unchanged(why: object) -> str:
    """Return why something was not done, and that nothing was."""
    return f"{why} " + gettext("Nothing was changed.")


class Phrasebook:
    """Phrases marked with gettext_noop where they stand; of two that fit, the one that stands first is taken."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self._gapped: list[tuple[str, re.Pattern[str]]] = []
        for phrase in phrases:
            if "%(" in phrase:
                pattern = _GAP.sub(r"(?P<\1>.+?)", re.escape(phrase))
                self._gapped.append((phrase, re.compile(pattern, re.DOTALL)))
            else:
                self._whole.add(phrase)

    def say(self, text: str) -> str:
        """Return a text in the viewer's language, and what stands in its gaps too."""
        if (get_language() or "en").startswith("en"):
            return text
        if text in self._whole:
            return gettext(text)
        for phrase, pattern in self._gapped:
            if found := pattern.fullmatch(text):
                return gettext(phrase) % {name: self.say(part) for name, part in found.groupdict().items()}
        return text
