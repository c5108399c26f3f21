"""Whose fault it is when the link machine is used or answered wrongly."""

from processor.errors import Fault, ProcessorError


class LocalProtocolError(ProcessorError):
    """We asked the link machine for something its state does not allow."""

    permanent = True
    fault = Fault.OURS
