"""Defects of what answers and silences mean, and of the messages that follow from it."""

from collections.abc import Callable
from typing import Any

from tests.simulation import stage
from tests.simulation.mutants.registry import Put, mutant, rule_of


@mutant
def settle_a_late_approval_as_approved(put: Put) -> None:
    """A late approval of what is being undone ends the payment as approved."""
    from transactions.domain import events as e  # noqa: PLC0415
    from transactions.domain.values import Verdict  # noqa: PLC0415

    def rule(usual: Any, asked: Any, state: Any) -> Any:
        late = not asked.decisive and asked.answer.verdict is Verdict.APPROVED
        if late and state.status.value == "reversed":
            return (e.ChildApproved(state.id, state.instruction.operation, 0), e.Approved(asked.attempt, "00"))
        return usual(asked, state)

    rule_of(put, "RecordAnswer", rule)


@mutant
def ignore_a_late_approval(put: Put) -> None:
    """An approval that comes after the end is only noted (M6)."""
    from transactions.domain import events as e  # noqa: PLC0415

    def rule(usual: Any, asked: Any, state: Any) -> Any:
        if not asked.decisive:
            return (e.AnswerNoted(asked.attempt, asked.answer.response_code),)
        return usual(asked, state)

    rule_of(put, "RecordAnswer", rule)


@mutant
def retry_a_timeout(put: Put) -> None:
    """What nobody answered is sent again as a new attempt (M4, M8)."""
    from transactions.domain import events as e  # noqa: PLC0415

    def rule(usual: Any, asked: Any, state: Any) -> Any:
        attempt = state.attempt(asked.attempt)
        if attempt.kind.value == "request" and state.instruction.operation.moves_money:
            return (e.AttemptDeclined(asked.attempt, "91", asked.at),)
        return usual(asked, state)

    rule_of(put, "RecordSilence", rule)


@mutant
def fail_a_timeout(put: Put) -> None:
    """What nobody answered ends as failed, without a reversal (M4)."""
    from transactions.domain import events as e  # noqa: PLC0415

    def rule(usual: Any, asked: Any, state: Any) -> Any:
        if state.attempt(asked.attempt).kind.value == "request":
            return (e.Failed(asked.reason, asked.attempt),)
        return usual(asked, state)

    rule_of(put, "RecordSilence", rule)


@mutant
def drop_a_reversal_after_three_tries(put: Put) -> None:
    """A reversal that was not accepted three times is given up (M5)."""
    from transactions.domain import decide  # noqa: PLC0415
    from transactions.domain import events as e  # noqa: PLC0415

    usual = decide._owed_still

    def owed_still(command: Any, owed: Any, reason: Any, code: Any) -> Any:
        if owed.repeats >= 2 and owed.reverses:
            return e.Reversed(owed.reverses, owed.number, "99")
        return usual(command, owed, reason, code)

    put(decide, "_owed_still", owed_still)


@mutant
def a_declined_reversal_is_accepted(put: Put) -> None:
    """Whatever the host says to a reversal is taken as its acceptance (M5)."""
    _verdict(put, "REVERSAL", lambda usual, code, repeats, dialect: _approved())


@mutant
def believe_a_host_that_forgets(put: Put) -> None:
    """A host that approved and then does not find it is taken at its word (M7)."""
    from transactions.domain import decide  # noqa: PLC0415
    from transactions.domain.answers import NotFound  # noqa: PLC0415

    put(decide, "not_found", lambda *_: NotFound.FINAL)


@mutant
def approve_94_on_the_first_write(put: Put) -> None:
    """A duplicate's refusal of the first write is a success (M11)."""
    _verdict(put, "REQUEST", lambda usual, code, *rest: _approved() if code == "94" else usual(code, *rest))


@mutant
def decline_68(put: Put) -> None:
    """An outcome that the host does not know is taken as a decline (M4)."""
    _verdict(put, "REQUEST", lambda usual, code, *rest: _declined() if code == "68" else usual(code, *rest))


@mutant
def accept_a_partial_approval(put: Put) -> None:
    """10 is taken as a decline, and what was approved stays with the host."""
    _verdict(put, "REQUEST", lambda usual, code, *rest: _declined() if code == "10" else usual(code, *rest))


@mutant
def unknown_codes_decline(put: Put) -> None:
    """A code nobody knows is taken as a decline."""
    _verdict(put, "REQUEST", lambda usual, code, *rest: _declined() if code[0] in "Z9" else usual(code, *rest))


def _approved() -> Any:
    from transactions.domain.values import Verdict  # noqa: PLC0415

    return Verdict.APPROVED, None


def _declined() -> Any:
    from transactions.domain.values import Verdict  # noqa: PLC0415

    return Verdict.DECLINED, None


def _verdict(put: Put, kind: str, judge: Callable[..., Any]) -> None:
    from transactions import iso8583  # noqa: PLC0415
    from transactions.domain.values import MessageKind  # noqa: PLC0415

    usual = iso8583._VERDICTS[MessageKind[kind]]
    changed = {MessageKind[kind]: lambda *said: judge(usual, *said)}
    put(iso8583, "_VERDICTS", {**iso8583._VERDICTS, **changed})


@mutant
def no_answer_need_be_read(put: Put) -> None:
    """An answer nobody can read ends the payment as declined, without a reversal."""
    from transactions import iso8583, judging  # noqa: PLC0415
    from transactions.domain.values import Answer, Verdict  # noqa: PLC0415

    def read_answer(message: Any, *rest: Any) -> Any:
        said = iso8583.read_answer(message, *rest)
        return Answer(Verdict.DECLINED, "99") if said.verdict is Verdict.INVALID else said

    put(judging, "read_answer", read_answer)


@mutant
def close_before_the_commit(put: Put) -> None:
    """The entry is closed in a transaction of its own, before the outcome's (M4)."""
    from transactions import settling  # noqa: PLC0415

    usual = settling._settle

    def settle(frames: Any) -> Any:
        tables = stage.Stage.current.tables
        for frame in frames:
            if frame.decides and frame.entry_id in tables.entries:
                tables.entries.pop(frame.entry_id)
        tables.commit()
        tables.begin()
        return usual(frames)

    put(settling, "_settle", settle)


@mutant
def repeat_as_0420(put: Put) -> None:
    """A repeated reversal is written as 0420 again (M5)."""
    from transactions import preparing  # noqa: PLC0415

    usual: Any = vars(preparing)["reversal_message"]
    put(preparing, "reversal_message", lambda i, c, u, wire, repeat, dialect: usual(i, c, u, wire, 0, dialect))


@mutant
def new_stan_on_a_repeat(put: Put) -> None:
    """Every write of a reversal has a STAN of its own (M5)."""
    from msgspec.structs import replace  # noqa: PLC0415

    from transactions import preparing  # noqa: PLC0415

    usual = preparing._wire

    def wire(earlier: Any, undone: Any, situation: Any) -> Any:
        made = usual(earlier, undone, situation)
        return replace(made, stan=made.stan % 999_999 + 500) if earlier else made

    put(preparing, "_wire", wire)


@mutant
def book_a_reversal_today(put: Put) -> None:
    """A reversal is booked on the business date of its making, not on its original's."""
    from msgspec.structs import replace  # noqa: PLC0415

    from transactions.domain import commands  # noqa: PLC0415

    def dispatch(**fields: Any) -> Any:
        today = stage.Stage.current.tables.one["status"].business_date
        return replace(usual(**fields), business_date=today)

    usual = commands.Dispatch
    put(commands, "Dispatch", dispatch)


@mutant
def nothing_held_is_unclear(put: Put) -> None:
    """Staff may cancel a held payment that the bank may have carried out."""
    from transactions.domain import decide  # noqa: PLC0415

    put(decide, "_is_unclear", lambda _: False)


@mutant
def reverse_another_stan(put: Put) -> None:
    """Field 90 of a reversal names another message than the one to be undone (M5)."""
    from msgspec.structs import replace  # noqa: PLC0415

    from transactions import preparing  # noqa: PLC0415

    usual: Any = vars(preparing)["reversal_message"]

    def message(i: Any, c: Any, undone: Any, *rest: Any) -> Any:
        return usual(i, c, replace(undone, stan=undone.stan % 999_999 + 1), *rest)

    put(preparing, "reversal_message", message)


@mutant
def stans_start_again(put: Put) -> None:
    """The sequence of STANs starts again with every batch (M10)."""
    from transactions import forwarding  # noqa: PLC0415

    put(forwarding, "_draw_stans", lambda config, count, second: list(range(1, count + 1)))


@mutant
def children_reserve_nothing(put: Put) -> None:
    """Two refunds at once each look only at what has ended (M9)."""
    from transactions import following  # noqa: PLC0415
    from transactions.domain.children import NOTHING  # noqa: PLC0415

    put(following, "reserved", lambda _: NOTHING)


@mutant
def an_original_is_not_told(put: Put) -> None:
    """A child is approved, and its original does not show it (M9)."""
    from transactions import ending  # noqa: PLC0415

    put(ending, "_tell_originals", lambda _: None)


@mutant
def cancel_what_was_told(put: Put) -> None:
    """A capture or void that the bank has not answered yet is cancelled, though the bank may have acted on it."""
    from transactions.domain import decide  # noqa: PLC0415

    put(decide, "_was_told", lambda _: False)
