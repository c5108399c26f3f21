"""The host's journal: every frame it saw or sent, as JSON lines. For tests it is what really happened."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from processor.codec.message import Message
from staff.masking import mask_pan


class Journal:
    """Appends to a file; a line is complete before the frame is answered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def note(self, session: int, what: str, **details: Any) -> None:
        """Write down something that is no message: a connection, a frame nobody can read."""
        self._write({"session": session, "what": what, **details})

    def message(
        self, session: int, direction: str, body: bytes, message: Message, business_date: date, effect: str = ""
    ) -> None:
        """Write a message down, its card number masked."""
        pan = message.get(2)
        self._write(
            {
                "session": session,
                "what": direction,
                "mti": message.mti,
                "processing_code": message.get(3),
                "amount": message.get(4),
                "transmitted": message.get(7),
                "stan": message.get(11),
                "rrn": message.get(37),
                "code": message.get(39),
                "terminal": message.get(41),
                "currency": message.get(49),
                "original": message.get(90) or message.get(56),
                "network": message.get(70) or message.get(24),
                "pan": mask_pan(pan) if pan else None,
                "digest": hashlib.sha256(body).hexdigest(),
                "business_date": business_date.isoformat(),
                "effect": effect,
            }
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        line["at"] = datetime.now(UTC).isoformat()
        self._file.write(json.dumps({key: value for key, value in line.items() if value not in (None, "")}) + "\n")
        self._file.flush()
