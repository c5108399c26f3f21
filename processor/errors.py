"""The root of what can go wrong at the processor; each error says whose fault it is and whether it lasts."""

from enum import StrEnum


class Fault(StrEnum):
    """Whose doing an error is."""

    OURS = "ours"
    THEIRS = "theirs"


class ProcessorError(Exception):
    """Something went wrong between the queue and the host."""

    permanent: bool = False
    fault: Fault = Fault.OURS

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
