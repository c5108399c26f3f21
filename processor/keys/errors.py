"""What can be wrong with a key or with what it protects. No error here carries key or card data."""

from processor.errors import Fault, ProcessorError


class KeyProblem(ProcessorError):
    """A key is missing or does not fit."""

    permanent = True


class SealBroken(KeyProblem):
    """Sealed bytes cannot be opened: another master key, or they were changed."""


class PinBlockRefused(KeyProblem):
    """A PIN block is not what the link's PIN key makes."""

    fault = Fault.THEIRS
