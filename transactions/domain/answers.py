"""What the host's answers tell of an approval, and what its "not found" means for a reversal (M6, M7).

Pure, and asked by `decide` alone; which events follow is said there.
"""

import enum

from transactions.domain.state import PaymentState
from transactions.domain.values import Answer, Attempt, Outcome, ReasonCode, Verdict


class NotFound(enum.Enum):
    """What it means that the host does not have the original of a reversal."""

    #: there is nothing to undo
    FINAL = "final"
    ASK_AGAIN = "ask again"
    #: the host approved what it says it never had, and stays with that
    CONTRADICTION = "contradiction"


def tells_of_approval(answer: Answer) -> bool:
    """True where the host says that it carried the message out, in full or in part, in a valid answer or not."""
    return answer.verdict is Verdict.APPROVED or answer.approves


def may_have_moved_money(answer: Answer) -> bool:
    """True also for an approval that would not have counted (M6)."""
    return answer.verdict is Verdict.APPROVED or answer.reason in (
        ReasonCode.PARTIAL_APPROVAL,
        ReasonCode.WRONG_ANSWER,
        ReasonCode.BAD_MAC,
    )


def not_found(answer: Answer, reversal: Attempt, state: PaymentState) -> NotFound:
    """M7: final only where nothing was overtaken, and where the host never told of an approval.

    A host that approved knew the original, so its "not found" is a contradiction: it is asked once more, and what
    it then says again is a person's to settle.
    """
    original = state.attempt(reversal.reverses or 0)
    if original is not None and original.outcome is Outcome.APPROVED:
        has_said_so = reversal.response_code == answer.response_code
        return NotFound.CONTRADICTION if has_said_so else NotFound.ASK_AGAIN
    return NotFound.ASK_AGAIN if _may_have_overtaken(reversal, state) else NotFound.FINAL


def _may_have_overtaken(reversal: Attempt, state: PaymentState) -> bool:
    """M7: on its own session a reversal follows its original, and a session that we lost was closed before the next.

    Only the holder that was replaced may have had bytes under way still: there the repeat must be told the same.
    """
    return state.reason is ReasonCode.LINK_TAKEN_OVER and not reversal.repeats
