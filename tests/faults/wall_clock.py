"""A wall clock of its own for a process, set while it runs; clocks that nobody sets are left alone (libfaketime)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LIBRARIES: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
IS_THERE: Final = bool(_LIBRARIES)


class WallClock:
    """Right until it is set; a file tells the process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0")

    def set(self, off: str) -> None:
        """Let it be wrong from now on by `-1h`, `+3d`, …; a reader sees the one or the other."""
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(f"{off}\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must be told as it starts."""
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }
