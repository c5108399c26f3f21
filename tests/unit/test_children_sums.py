"""Captures, refunds and voids of one payment in any order, with any ends: the sums never exceed (M9)."""

import uuid
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.builders import accepted, dispatched, payment
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.children import Reserved, child_instruction
from transactions.domain.decide import decide
from transactions.domain.errors import NotAllowed
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import Operation

WHOLE = 1_250_000
CHILDREN = st.sampled_from([Operation.CAPTURE, Operation.REFUND, Operation.VOID])


class Children(RuleBasedStateMachine):
    """A bank that would approve whatever it is asked: nobody but us keeps the sums."""

    def __init__(self) -> None:
        super().__init__()
        self.original: PaymentState = payment()
        self.asked = 0
        self.open: dict[uuid.UUID, tuple[Operation, int]] = {}
        self.done: dict[Operation, int] = dict.fromkeys(Operation, 0)

    @initialize(operation=st.sampled_from([Operation.PURCHASE, Operation.AUTHORISATION, Operation.BILL_PAYMENT]))
    def an_approved_payment(self, operation: Operation) -> None:
        self.original = payment(accepted(operation), dispatched(), e.Approved(1, "00", "123456"))

    @rule(operation=CHILDREN, amount=st.none() | st.integers(1, WHOLE) | st.sampled_from([WHOLE, WHOLE // 2]))
    def ask(self, operation: Operation, amount: int | None) -> None:
        held = dict.fromkeys(("capture", "refund", "void"), 0)
        for kind, of in self.open.values():
            held[kind.value] += of
        try:
            instruction = child_instruction(self.original, operation, amount, Reserved(**held))
        except NotAllowed:
            return
        assert instruction.amount_minor > 0
        self.asked += 1
        self.open[uuid.UUID(int=self.asked)] = (operation, instruction.amount_minor)

    @precondition(lambda self: self.open)
    @rule(choice=st.data(), how=st.sampled_from(["approved", "reversed"]))
    def end(self, choice: Any, how: str) -> None:
        child = choice.draw(st.sampled_from(sorted(self.open)))
        operation, amount = self.open.pop(child)
        if how != "approved":
            return
        self.done[operation] += amount
        for event in decide(self.original, c.RecordChild(child, operation, amount)):
            self.original = evolve(self.original, event)

    @invariant()
    def what_was_done_never_exceeds(self) -> None:
        done = self.done
        captured, refunded, voided = done[Operation.CAPTURE], done[Operation.REFUND], done[Operation.VOID]
        is_authorisation = self.original.instruction.operation is Operation.AUTHORISATION
        assert captured <= (WHOLE if is_authorisation else 0)
        assert refunded <= (captured if is_authorisation else WHOLE)
        assert voided in (0, WHOLE)
        assert not (voided and (captured or refunded))

    @invariant()
    def the_original_shows_it(self) -> None:
        assert self.original.captured_minor == self.done[Operation.CAPTURE]
        assert self.original.refunded_minor == self.done[Operation.REFUND]
        assert (self.original.voided_by is not None) == bool(self.done[Operation.VOID])


TestChildren = Children.TestCase
TestChildren.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
