"""A disk of its own for PostgreSQL, small enough to be filled: a tmpfs where its cluster will be. Needs root."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IS_POSSIBLE: Final = os.geteuid() == 0
_BLOCK: Final = bytes(65_536)


@dataclass(frozen=True, slots=True)
class Disk:
    """What is mounted at a folder."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave not one block."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (len(_BLOCK), 1):
                try:
                    while True:
                        ballast.write(_BLOCK[:size])
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give it all back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount one for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "ferryman", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        # Lazily: a backend that is still ending keeps its files, and nobody else from the folder.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
