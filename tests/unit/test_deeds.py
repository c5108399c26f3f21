"""What staff did, held against what they were told: what is in order is, and what is not is named by its check."""

from types import SimpleNamespace as Row
from typing import Any

from tests.faults.deeds import Deed, Work, violations
from tests.faults.pages import Page

WHY, NOTE = "void a payment, by letter 1 of opal", "agree, by letter 1 of sam"
PAYMENT, CHILD = "0190-a", "0190-b"


def deed(kind: str, reason: str = WHY, who: str = "opal", done: int = 1, lost: int = 0) -> Deed:
    return Deed(who, "something", kind, reason, done=done, lost=lost)


def record(who: str, action: str, result: str, why: str, subject: str = PAYMENT, **detail: Any) -> Row:
    return Row(who=who, action=action, subject=subject, result=result, why=why, detail=detail)


def event(kind: str, note: str, payment: str = PAYMENT, key: str = "k", original: str | None = None) -> Row:
    return Row(payment=payment, type=kind, actor="staff:opal", note=note, key=key, original=original)


def request(state: str = "done", **differently: Any) -> Row:
    usual = {"id": 1, "kind": "void_payment", "subject": PAYMENT, "maker": "opal", "reason": WHY, "parameters": {}}
    decided = {"checker": "sam", "note": NOTE, "outcome": "The void is on its way to the bank."}
    return Row(state=state, **{**usual, **decided, **differently})


def voided(**differently: Any) -> list[str]:
    """Judge a void that Opal asked for and Sam agreed to, or what a test makes of it."""
    usual: dict[str, Any] = {
        "deeds": [deed("ask"), deed("decide", NOTE, "sam")],
        "requests": [request()],
        "events": [event("Accepted", f"{WHY} (sam agreed)", CHILD, "staff,request-1", PAYMENT)],
        "records": [
            record("opal", "void_payment", "asked", WHY),
            record("sam", "void_payment", "approved", NOTE),
            record("opal", "void_payment", "done", WHY),
        ],
    }
    return named(Work(**{**usual, **differently}))


def named(work: Work) -> list[str]:
    return [found.partition(":")[0] for found in violations(work)]


def cancelled(**differently: Any) -> list[str]:
    """Judge a job of Opal's that cancelled one payment, and could not cancel another."""
    item = Row(job_id=1, payment=PAYMENT, result="done", outcome="The payment was cancelled.")
    refused = Row(job_id=1, payment=CHILD, result="refused", outcome="The payment has ended already.")
    job = Row(id=1, action="cancel", reason=WHY, maker="opal", checker="", size=2, started_at="10:00", ended_at="10:01")
    usual: dict[str, Any] = {
        "deeds": [deed("bulk")],
        "jobs": [job],
        "items": [item, refused],
        "events": [event("Cancelled", WHY)],
        "records": [
            record("opal", "cancel_payments", "done", WHY, "1"),
            record("opal", "cancel_payment", "done", WHY, job=1),
            record("opal", "cancel_payment", "refused", WHY, CHILD, job=1),
        ],
    }
    return named(Work(**{**usual, **differently}))


def configured(**differently: Any) -> list[str]:
    """Judge a configuration that Opal asked for, Sam agreed to and the worker took over."""
    asked = request(kind="configure_link", subject="7")
    command = Row(id=3, verb="configure", asked_by="opal", reason=WHY, state="done", answer="In use.", subject="7")
    usual: dict[str, Any] = {
        "deeds": [deed("ask"), deed("decide", NOTE, "sam")],
        "requests": [asked],
        "commands": [command],
        "versions": [
            Row(link="bank", version=1, who="command line", why=""),
            Row(link="bank", version=2, who="opal", why=WHY),
        ],
        "links": [Row(name="bank", version=2, running=2)],
        "records": [
            record("opal", "configure_link", "asked", WHY, "7"),
            record("sam", "configure_link", "approved", NOTE, "7"),
            record("opal", "configure_link", "done", WHY, "7"),
            record("opal", "link.configure", "asked", WHY, "7"),
        ],
    }
    return named(Work(**{**usual, **differently}))


def told(state: str, answer: str) -> list[str]:
    """Judge an echo that Opal asked of the link."""
    command = Row(id=3, verb="echo", asked_by="opal", reason=WHY, state=state, answer=answer, subject="7")
    asked = record("opal", "link.command", "asked", WHY, "7")
    return named(Work(deeds=[deed("tell")], commands=[command], records=[asked]))


class TestPresses:
    def test_what_was_agreed_and_done_is_in_order(self) -> None:
        assert voided() == []

    def test_what_was_told_and_is_not_there_is_named(self) -> None:
        assert named(Work(deeds=[deed("act")])) == ["a_press_is_carried_out_once"]

    def test_what_was_not_answered_may_be_done_or_not(self) -> None:
        done = {"events": [event("Cancelled", WHY)], "records": [record("opal", "cancel_payment", "done", WHY)]}

        assert named(Work(deeds=[deed("act", done=0, lost=1)])) == []
        assert named(Work(deeds=[deed("act", done=0, lost=1)], **done)) == []
        assert named(Work(deeds=[deed("act", done=0)], **done)) == ["a_press_is_carried_out_once"]

    def test_what_was_done_twice_is_named(self) -> None:
        twice = {
            "events": [event("RetryRequested", WHY)] * 2,
            "records": [record("opal", "retry_payment", "done", WHY)] * 2,
        }

        assert named(Work(deeds=[deed("act")], **twice)) == ["a_press_is_carried_out_once"]


class TestTwoPeople:
    def test_a_request_that_nobody_ended_is_named(self) -> None:
        asked = record("opal", "void_payment", "asked", WHY)
        left = {"deeds": [deed("ask")], "requests": [request("open", checker="", note="", outcome="")]}

        assert voided(**left, records=[asked], events=[]) == ["what_was_agreed_is_carried_out"]

    def test_what_was_agreed_and_not_done_or_done_twice_is_named(self) -> None:
        once = event("Accepted", f"{WHY} (sam agreed)", CHILD, "staff,request-1", PAYMENT)

        assert voided(events=[]) == ["what_was_agreed_is_carried_out"]
        assert voided(events=[once, once]) == ["what_was_agreed_is_carried_out"]

    def test_what_becomes_of_a_void_is_no_second_one(self) -> None:
        made = event("Accepted", f"{WHY} (sam agreed)", CHILD, "staff,request-1", PAYMENT)
        retried = event("RetryRequested", "look again", CHILD, "staff,request-1", PAYMENT)

        assert voided(events=[made, retried]) == ["what_was_done_is_in_the_audit"], "only the retry has no record"

    def test_what_was_turned_down_and_done_is_named(self) -> None:
        down = [record("opal", "void_payment", "asked", WHY), record("sam", "void_payment", "turned_down", NOTE)]

        assert voided(requests=[request("turned_down")], records=down) == ["what_was_agreed_is_carried_out"]
        assert voided(requests=[request("turned_down")], records=down, events=[]) == []

    def test_what_was_not_possible_and_does_not_say_why_is_named(self) -> None:
        records = [
            record("opal", "void_payment", "asked", WHY),
            record("sam", "void_payment", "approved", NOTE),
            record("opal", "void_payment", "failed", WHY),
        ]

        assert voided(requests=[request("failed")], records=records, events=[]) == []
        silent = voided(requests=[request("failed", outcome="")], records=records, events=[])
        assert silent == ["what_was_agreed_is_carried_out"]

    def test_a_maker_who_agreed_is_named(self) -> None:
        own = request(checker="opal")
        alone = [
            record("opal", "void_payment", "asked", WHY),
            record("opal", "void_payment", "approved", NOTE),
            record("opal", "void_payment", "done", WHY),
        ]
        deeds = [deed("ask"), deed("decide", NOTE)]

        assert voided(requests=[own], records=alone, deeds=deeds) == ["maker_and_checker_differ"]


class TestJobs:
    def test_one_done_and_one_refused_is_in_order(self) -> None:
        assert cancelled() == []

    def test_a_job_that_does_not_end_or_forgot_a_payment_is_named(self) -> None:
        job = Row(
            id=1, action="cancel", reason=WHY, maker="opal", checker="", size=3, started_at="10:00", ended_at=None
        )

        assert cancelled(jobs=[job]) == ["a_job_ends_with_every_payment_counted_once"] * 2

    def test_a_payment_without_a_result_is_named(self) -> None:
        item = Row(job_id=1, payment=PAYMENT, result="done", outcome="The payment was cancelled.")
        left = Row(job_id=1, payment=CHILD, result="", outcome="")

        assert "a_job_ends_with_every_payment_counted_once" in cancelled(items=[item, left])

    def test_a_payment_that_is_said_to_be_done_and_is_not_is_named(self) -> None:
        assert cancelled(events=[]) == ["a_job_ends_with_every_payment_counted_once"]


class TestAudit:
    def test_what_was_done_and_not_written_down_is_named(self) -> None:
        written = record("opal", "void_payment", "asked", WHY), record("opal", "void_payment", "done", WHY)

        assert voided(records=written) == ["what_was_done_is_in_the_audit"]
        replay = Row(actor="staff:opal", reason=WHY)
        assert named(Work(deeds=[deed("webhooks")], replays=[replay])) == ["what_was_done_is_in_the_audit"]

    def test_what_was_written_down_and_not_done_is_named(self) -> None:
        claim = record("opal", "cancel_payment", "done", WHY)

        assert named(Work(deeds=[], records=[claim])) == ["the_audit_claims_no_more"]

    def test_another_reason_is_named_twice(self) -> None:
        acted: dict[str, Any] = {"deeds": [deed("act")], "events": [event("Cancelled", WHY)]}

        other = named(Work(**acted, records=[record("opal", "cancel_payment", "done", "because")]))
        assert other == ["what_was_done_is_in_the_audit", "the_audit_claims_no_more"]

    def test_a_refusal_to_one_person_is_no_claim(self) -> None:
        assert named(Work(deeds=[], records=[record("opal", "cancel_payment", "refused", WHY)])) == []

    def test_a_sign_in_or_a_download_too_few_or_too_many_is_named(self) -> None:
        signed_in, sign_in = record("opal", "sign_in", "done", ""), deed("sign_in")

        assert named(Work(deeds=[sign_in], records=[signed_in])) == []
        assert named(Work(deeds=[sign_in])) == ["what_has_no_reason_is_in_the_audit_too"]
        assert named(Work(deeds=[sign_in], records=[signed_in] * 2)) == ["what_has_no_reason_is_in_the_audit_too"]
        assert named(Work(deeds=[deed("sign_in", lost=1)], records=[signed_in] * 2)) == []
        assert named(Work(deeds=[deed("export")])) == ["what_has_no_reason_is_in_the_audit_too"]


class TestLinks:
    def test_a_command_that_nobody_answered_is_named(self) -> None:
        assert told("done", "The bank answered.") == []
        assert told("expired", "No worker took it.") == []
        assert told("running", "") == ["a_link_command_is_answered_or_expired"]
        assert told("failed", "") == ["a_link_command_is_answered_or_expired"]

    def test_a_version_that_was_agreed_to_and_runs_is_in_order(self) -> None:
        assert configured() == []

    def test_a_gap_or_another_running_version_is_named(self) -> None:
        assert configured(links=[Row(name="bank", version=3, running=3)]) == [VERSIONS]
        assert configured(links=[Row(name="bank", version=2, running=1)]) == [VERSIONS]

    def test_a_version_that_nobody_agreed_to_is_named(self) -> None:
        versions = [
            Row(link="bank", version=1, who="opal", why="alone"),
            Row(link="bank", version=2, who="opal", why=WHY),
        ]

        assert configured(versions=versions) == [VERSIONS]

    def test_a_version_that_is_said_to_be_in_use_and_is_gone_is_named(self) -> None:
        first = Row(link="bank", version=1, who="command line", why="")

        gone = configured(versions=[first], links=[Row(name="bank", version=1, running=1)])
        assert gone == [VERSIONS]


class TestHearing:
    def test_green_is_done_and_red_is_not(self) -> None:
        heard = deed("act", done=0)
        box = '<div class="rounded-default bg-{}-100">{}</div>'

        heard.hear(Page.read("/x/", 200, box.format("green", "The payment was cancelled.")))
        heard.hear(Page.read("/x/", 200, box.format("red", "It has ended.")))
        heard.hear(Page.read("/x/", 200, "<p>nothing</p>"))

        assert (heard.done, heard.refused) == (1, 2)

    def test_a_note_in_a_form_is_no_decision(self) -> None:
        heard = deed("decide", NOTE, done=0)

        heard.hear(Page.read("/x/", 403, f"<textarea>{NOTE}</textarea>"))
        heard.hear(Page.read("/x/", 200, f"<dd>{NOTE}</dd>"))

        assert (heard.done, heard.refused) == (1, 1)

    def test_a_form_is_read_as_it_is_filled_in(self) -> None:
        form = (
            '<form><input name="reason" value="a"></form>'
            '<form><input name="q" value="1"><input name="e">'
            '<input type="checkbox" name="b"><input type="checkbox" name="c" checked>'
            '<textarea name="reason">\nso</textarea><select name="s"><option value="1">1<option value="2" selected>2'
            "</select></form>"
        )

        found = Page.read("/x/", 200, form).form("reason")
        assert found == {"q": "1", "e": "", "c": "on", "reason": "so", "s": "2"}


VERSIONS = "versions_follow_each_other_and_the_last_one_runs"
