"""What this process has left of what the machine gives it."""

import resource
from pathlib import Path
from typing import Final

_FILES: Final = Path("/proc/self/fd")


def files_in_use() -> float:
    """Return the share of the file descriptors that are in use, from 0 to 1."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sum(1 for _file in _FILES.iterdir()) / most if most > 0 else 0.0
