"""What staff set out to do in a run, by role: each errand finds something on a page, and presses what is there."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from tests.faults.member import Member

PAYMENTS: Final = "/admin/transactions/payment/"
_REQUESTS: Final = "/admin/staff/request/"
_LINKS: Final = "/admin/processor/link/"
_DELIVERIES: Final = "/admin/transactions/webhookdelivery/"
_REPLAY: Final = "/admin/transactions/webhookreplay/add/"
#: so many payments somebody ticks at once
_TICKED: Final = 20

Errand = Callable[[Member], None]


def act(name: str, *statuses: str) -> Errand:
    """Find a payment of one of these statuses, and do something about it alone."""
    return _about_one(name, "act", statuses)


def ask(name: str, *statuses: str, **given: str) -> Errand:
    """Find a payment of one of these statuses, and ask a second person for something."""
    return _about_one(name, "ask", statuses, **given)


def _about_one(name: str, kind: str, statuses: tuple[str, ...], **given: str) -> Errand:
    def errand(member: Member) -> None:
        status = member.dice.choice(statuses)
        if found := member.look(f"{PAYMENTS}?status__exact={status}").payments():
            member.press(
                member.begin(f"{name} a payment", kind), f"{PAYMENTS}{member.dice.choice(found)}/{name}/", given
            )

    return errand


def many(name: str, status: str) -> Errand:
    """Tick some payments of a status, and begin a job."""

    def errand(member: Member) -> None:
        found = member.look(f"{PAYMENTS}?status__exact={status}").payments()
        if ticked := member.dice.sample(found, min(_TICKED, len(found))):
            # The page of all that the list is narrowed to has the form; what it is about is what was ticked.
            page = f"{PAYMENTS}bulk/{name}/?status__exact={status}"
            member.press(member.begin(f"{name} many", "bulk"), page, {"ids": ",".join(ticked)})

    return errand


def decide(member: Member) -> None:
    """Agree to what somebody asked for, or turn it down; what names evidence that nobody has seen always."""
    if found := member.look(f"{_REQUESTS}").numbers("staff/request"):
        page = f"{_REQUESTS}{member.dice.choice(found)}/"
        unseen = "Resolve on evidence" in member.look(f"{page}change/").text
        agrees = member.dice.random() < 0.75 and not unseen
        deed = member.begin("agree" if agrees else "turn down", "decide")
        decision = "approve" if agrees else "turn_down"
        member.press(deed, f"{page}change/", {"decision": decision}, to=f"{page}decide/")


def tell(word: str) -> Errand:
    """Tell the link's worker something."""

    def errand(member: Member) -> None:
        member.press(member.begin(f"{word.replace('_', ' ')} the link", "tell"), f"{_link(member)}tell/{word}/", {})

    return errand


resume: Final = tell("resume")


def pause(member: Member) -> None:
    """Pause the link for a moment."""
    tell("pause")(member)
    time.sleep(member.dice.uniform(0.5, 1.5))
    resume(member)


def send(member: Member) -> None:
    """Ask that a network message be sent."""
    deed = member.begin("send a message", "ask")
    member.press(deed, f"{_link(member)}tell/send/", {"message": "echo"})


def configure(member: Member) -> None:
    """Ask for another interval of looking at the resources."""
    page = f"{_link(member)}configure/"
    form = member.look(page).form("health_resources_s")
    if form:
        interval = f"{float(form['health_resources_s']) % 20 + member.dice.randrange(5, 10)}"
        member.press(member.begin("configure the link", "ask"), page, {"health_resources_s": interval})


def resend(member: Member) -> None:
    """Have one webhook sent once more."""
    if found := member.look(_DELIVERIES).numbers("transactions/webhookdelivery"):
        page = f"{_DELIVERIES}{member.dice.choice(found)}/resend/"
        member.press(member.begin("resend a webhook", "webhooks"), page, {})


def replay(member: Member) -> None:
    """Have all webhooks of a payment sent once more, or of all that ended so."""
    form = member.look(_REPLAY).form("merchant", "seen")
    found = member.look(f"{PAYMENTS}?status__exact=approved").payments()
    if form and found:
        narrowed = {"payment": member.dice.choice(found)} if member.dice.random() < 0.5 else {"status": "cancelled"}
        member.press(member.begin("replay webhooks", "webhooks"), _REPLAY, {"merchant": "1", **narrowed})


def export(member: Member) -> None:
    """Download the payments as CSV."""
    member.download(member.begin("export payments", "export"), f"{PAYMENTS}export/?status__exact=declined")


def export_audit(member: Member) -> None:
    """Download the audit."""
    member.download(member.begin("export the audit", "export_audit"), "/admin/staff/record/export/")


def read(member: Member) -> None:
    """Look at the desk, and read a payment's story."""
    member.look("/admin/")
    if found := member.look(PAYMENTS).payments():
        member.look(f"{PAYMENTS}{member.dice.choice(found)}/change/")


def _link(member: Member) -> str:
    return f"{_LINKS}{member.look(_LINKS).numbers('processor/link')[0]}/"


_WORK: Final[Mapping[Errand, int]] = {
    act("cancel", "queued"): 6,
    act("retry", "queued", "reversing", "on_hold"): 6,
    ask("void", "approved"): 5,
    ask("refund", "approved"): 3,
    ask("reverse", "on_hold", "in_flight"): 2,
    ask("resolve", "reversing", outcome="reversed"): 2,
    many("cancel", "queued"): 3,
    many("retry", "reversing"): 3,
    resend: 3,
    replay: 2,
    export: 2,
    tell("echo"): 2,
    tell("health_check"): 1,
    pause: 1,
    send: 1,
    configure: 2,
    read: 2,
}
#: role -> errand -> how often
ERRANDS: Final[Mapping[str, Mapping[Errand, int]]] = {
    "operator": _WORK,
    "supervisor": {**_WORK, decide: 30},
    "admin": {decide: 4, read: 1},
    "auditor": {read: 2, export: 2, export_audit: 1},
}
