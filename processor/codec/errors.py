"""What can be wrong with a message or a frame. No error here ever carries a field's value."""

from processor.errors import Fault, ProcessorError


class CodecError(ProcessorError):
    """A message could not be packed or read."""

    permanent = True

    def __init__(self, message: str | None = None, *, field: int | None = None) -> None:
        super().__init__(message)
        self.field = field


class EncodeError(CodecError):
    """The message cannot be written in this dialect."""

    fault = Fault.OURS


class DecodeError(CodecError):
    """The bytes are not a message of this dialect."""

    fault = Fault.THEIRS


class FramingError(CodecError):
    """The stream is not made of frames any more; only closing the connection helps."""

    fault = Fault.THEIRS
