"""The proxy's journal: JSON lines of every read, every frame and every end, in the order in which they happened."""

import json
import time
from pathlib import Path
from typing import Any


class Journal:
    """Appends to a file; a line is complete before the bytes it tells of are passed on."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def note(self, connection: int, what: str, **details: Any) -> None:
        """A connection began, ended or was broken."""
        self._write({"connection": connection, "what": what, **details})

    def bytes(self, connection: int, direction: str, count: int) -> None:
        """So many bytes were read."""
        self._write({"connection": connection, "what": "bytes", "direction": direction, "count": count})

    def frame(self, connection: int, direction: str, mti: str, stan: str, action: str) -> None:
        """A frame is complete; what is done to it, if anything is."""
        line = {"connection": connection, "what": "frame", "direction": direction, "mti": mti, "stan": stan}
        self._write({**line, "action": action} if action else line)

    def _write(self, line: dict[str, Any]) -> None:
        # One clock for all processes of a machine, which nobody sets.
        self._file.write(json.dumps({"at": time.clock_gettime(time.CLOCK_BOOTTIME), **line}) + "\n")
        self._file.flush()


def read(path: Path) -> list[dict[str, Any]]:
    """Return a journal's lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def overtaken_bytes(lines: list[dict[str, Any]]) -> list[str]:
    """F2: no byte of a connection comes after the first byte of a later one; returns those that did."""
    newest = 0
    found = []
    for line in lines:
        if line["what"] != "bytes" or line["direction"] != "out":
            continue
        if line["connection"] < newest:
            found.append(f"connection {line['connection']} sent {line['count']} bytes after {newest} had begun")
        newest = max(newest, line["connection"])
    return found
