"""What groups of processes cost: CPU with all their children, also those that ended, and resident memory."""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import psutil


class Groups:
    """Named process trees."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in roots.items()}

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, by group."""
        return {name: sum(map(_seconds, _tree(root))) for name, root in self._roots.items()}

    def spent(self, before: Mapping[str, float]) -> dict[str, float]:
        """Seconds of CPU since a reading."""
        return {name: seconds - before[name] for name, seconds in self.cpu().items()}

    def largest(self) -> dict[str, float]:
        """MiB of each group's largest process."""
        return {name: max(map(_mebibytes, _tree(root))) for name, root in self._roots.items()}


class MemoryPeak:
    """Watches groups for the length of a block; `mebibytes` is each one's highest reading."""

    def __init__(self, groups: Groups, every_s: float = 0.25) -> None:
        self.mebibytes: dict[str, float] = {}
        self._groups = groups
        self._every_s = every_s
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            for name, mebibytes in self._groups.largest().items():
                self.mebibytes[name] = max(mebibytes, self.mebibytes.get(name, 0))


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # its parent has it among its children's
    return float(times.user + times.system + times.children_user + times.children_system)


def _mebibytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss / 2**20)
    except psutil.NoSuchProcess:
        return 0.0
