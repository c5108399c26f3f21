"""What the simulated bank does wrong, and how often: a value for each kind, 0 for a bank that works."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bugs:
    """How often the host does what; 0 for a host that works."""

    slowest_s: float = 0.05
    unknown_code: float = 0.0
    silent: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    garbage: float = 0.0
    other_amount: float = 0.0
    breaks_framing: float = 0.0
    closes: float = 0.0
    bad_mac: float = 0.0
    reversal_declined: float = 0.0
    reversal_refused: float = 0.0
    refuses_sign_on: float = 0.0
    silent_echo: float = 0.0
    #: answers whose connection has gone come on the next one
    answers_elsewhere: float = 0.0
    #: a request is worked on late, maybe after its connection and its reversal; its answer comes all the same
    works_late: float = 0.0
    #: an answer comes again, much later
    answers_again: float = 0.0
    #: what it told us that it approved, it does not find when it is to be reversed
    forgets: float = 0.0
