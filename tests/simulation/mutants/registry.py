"""What a mutant is: a named, deliberate defect, injected by patching the product while seeds run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

Put: TypeAlias = Callable[..., None]
MUTANTS: dict[str, Callable[[Put], None]] = {}


def mutant(inject: Callable[[Put], None]) -> Callable[[Put], None]:
    """Name a mutant by its function; its docstring says what it breaks."""
    MUTANTS[inject.__name__] = inject
    return inject


def model_of(put: Put, statement: str, change: Callable[[Any], Any]) -> None:
    """Let a statement's model be another one in every seed to come."""
    from tests.simulation import link_model, payments_model, queue_model  # noqa: PLC0415

    for module in (queue_model, payments_model, link_model):
        if statement in module._STATEMENTS:
            known = module._STATEMENTS
            put(module, "_STATEMENTS", {**known, statement: change(known[statement])})


def rule_of(put: Put, command: str, rule: Callable[..., Any]) -> None:
    """Let another rule decide about a command."""
    from transactions.domain import commands, decide  # noqa: PLC0415

    usual = decide._decide
    kind = getattr(commands, command)

    def decided(asked: Any, state: Any) -> Any:
        return rule(usual, asked, state) if isinstance(asked, kind) else usual(asked, state)

    put(decide, "_decide", decided)


#: mutants that show under a rare fault only: their seeds have it, so that they need not be many
FORCED: Mapping[str, Sequence[str]] = {
    "take_without_epoch_check": (
        *("database: statements arrive late", "kill a link worker", "cut a link worker's power"),
        *("stop the link worker", "cut a link worker off the database", "pause a link worker"),
    ),
    "wait_by_a_clock_that_is_set_back": ("the database's wall clock jumps", "host: silent"),
    "approve_94_on_the_first_write": ("host: unknown codes",),
    "accept_a_partial_approval": ("host: unknown codes",),
    "unknown_codes_decline": ("host: unknown codes",),
    "decline_68": ("host: unknown codes",),
    "drop_a_reversal_after_three_tries": ("host: silent", "host: declines reversals"),
    "believe_a_host_that_forgets": ("host: forgets what it approved",),
    "only_a_notice_moves_the_date": ("host: cut-over nobody hears of",),
    "a_cut_over_counts_twice": ("host: cut-over", "database: loses acknowledgements"),
    "book_a_reversal_today": ("host: cut-over", "host: silent"),
    "write_what_is_in_flight": ("an entry is lost", "host: slow", "host: declines reversals", "host: silent"),
    "write_while_the_breaker_is_open": ("host: silent",),
    "pause_and_go_on": ("staff: work the console", "broker: slow"),
    "leave_what_was_begun": ("staff: work the console", "kill a link worker", "cut a link worker's power"),
    "stay_with_the_second_host": ("host: the first endpoint is down",),
    "nothing_held_is_unclear": ("an entry is lost", "staff: work the desk"),
    "cancel_what_was_told": ("host: silent", "clients: cancel"),
    "cancel_after_take": ("clients: cancel", "host: slow"),
    "drop_an_unmatched_answer": ("host: works late",),
    "ignore_a_late_approval": ("host: works late",),
    "settle_a_late_approval_as_approved": ("host: works late",),
    "no_orphans": ("kill a link worker", "host: slow"),
    "write_without_looking_at_the_lease": ("cut a link worker off the database", "database: slow"),
}


@contextmanager
def living(name: str) -> Iterator[None]:
    """Let a mutant live."""
    with ExitStack() as stack:

        def put(where: Any, what: str, changed: Any, of_instances: bool = False) -> None:  # noqa: FBT001
            # A name that is not there would break nothing, unless only instances have it.
            stack.enter_context(patch.object(where, what, changed, create=of_instances))

        MUTANTS[name](put)
        yield
