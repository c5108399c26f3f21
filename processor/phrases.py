"""What the link's rules and its worker say in English, for translators, and how a page says it."""

from typing import Final

from django.utils.translation import gettext_noop as _

from staff.speech import Phrasebook

#: states of a link, of its breaker, of its commands and of its health, and what staff want of it
_STATES: Final = (
    *(_("open"), _("paused"), _("closed"), _("half open"), _("running"), _("done"), _("refused"), _("failed")),
    *(_("connecting"), _("signing on"), _("proving"), _("up"), _("down"), _("draining"), _("signing off")),
    *(_("signed off"), _("closing"), _("leaving"), _("held"), _("expired"), _("breaker open")),
    *(_("CONNECTING"), _("ACTIVE"), _("DEGRADED"), _("FAILED")),
    *(_("process"), _("network"), _("protocol"), _("resources")),
)
#: why something ended, or what is to be said of a message
_CAUSES: Final = (
    *(_("timeout"), _("connection lost"), _("taken over"), _("sign on refused"), _("sign on timeout")),
    *(_("echo timeout"), _("echo refused"), _("framing"), _("host signed off"), _("closed by staff")),
    *(_("connect timeout"), _("connect refused"), _("late or duplicate"), _("unmatched"), _("unreadable")),
    *(_("maybe sent"), _("declined by host"), _("host timeout"), _("link taken over"), _("wrong answer")),
    *(_("bad mac"), _("outcome unknown"), _("duplicate refused"), _("partial approval"), _("late approval")),
    *(_("reversal declined"), _("reversal refused"), _("approved then not found")),
)
#: who changes a link, where it is no person
_AUTHORS: Final = (_("command line"),)
_VERBS: Final = (
    *(_("Establish"), _("Close"), _("Sign on"), _("Sign off"), _("Echo"), _("Health check"), _("Send")),
    *(_("Fail over"), _("Reset breaker"), _("Drain"), _("Pause"), _("Resume"), _("Reload"), _("Configure")),
    _("Reconcile"),
)
_MEANINGS: Final = (
    _("Connect, sign on and carry payments."),
    _(
        "Sign off and disconnect within seconds; what is unanswered by then is reversed. It stays closed until it is "
        "established."
    ),
    _("Sign on; where a session stands, once more on it."),
    _("Let what is in flight end, sign off and disconnect. It stays closed until it is established."),
    _("Ask the bank for a sign of life, and show its answer."),
    _("Look at everything now, an echo included."),
    _("Send one of the allowed network messages, and show the answer."),
    _("Prefer another host, and go to it now."),
    _("Close the breaker: payments go out at once."),
    _("Take no payment any more, let what is in flight end, and stay paused."),
    _("Stay signed on, and take no payment any more. Reversals go on."),
    _("Take payments again."),
    _("Take a new configuration over, if what it names is there."),
    _("Send our totals of a business date, and show how the host counts. No payment is touched."),
    _("Sign off, read the configuration, look up its hosts again, and sign on."),
)
#: what a command is refused with, before anything happens
_REFUSALS: Final = (
    _("%(verb)s takes only `%(parameter)s`."),
    _("%(verb)s takes no parameters."),
    _("`message` is one of: %(messages)s."),
    _("`endpoint` is the number of a host, from 1 to %(hosts)s."),
    _("The totals do not fit a message: a number has 10 digits at most, a sum 16."),
    _("The dialect %(name)s has no message for totals. Nothing was sent."),
    _("The link is down, so nothing can be asked of the bank. Nothing was sent."),
    _("The link is closed: establish it first. Nothing was changed."),
    _("The breaker is closed: payments go out already. Nothing was changed."),
    _("%(host)s carries already. Nothing was changed."),
    _("%(host)s takes no connections, so the link was not touched."),
    _("There is no link %(name)s."),
    _("No worker of the link took it in time, so nothing was done. Start one for the link's queue, and ask again."),
    _("The worker ended while it did this. Whether it was done shows in the link's state; it is not repeated."),
)
#: what a worker answers
_ANSWERS: Final = (
    _("The link did not come up within %(seconds)s s: %(why)s. It goes on trying."),
    _("The connection stands yet; no payment goes out on it any more."),
    _("Signed off and disconnected. No payment goes out until the link is established again."),
    _("Version %(version)s is in use."),
    _("Version %(version)s stands, and is not in use yet."),
    _("No payment is taken any more; reversals go on. %(n)s in flight wait for their answers."),
    _("Nothing is in flight, and no payment is taken until the link is resumed."),
    _("%(n)s are in flight yet, reversals perhaps; no payment is taken any more."),
    _("Payments are taken again. The link is down yet; they go out once it is up."),
    _("Payments are taken again."),
    _("The breaker is closed: payments go out again."),
    _("The link is down: %(why)s. Payments wait."),
    _("The link went down before anything was sent."),
    _("The bank did not answer."),
    _("The bank answered with code %(code)s after %(ms)s ms."),
    _("In balance: the host counts as we do."),
    _("Out of balance: the host does not count as we do. The settlement shows how."),
    _("The link has no MAC key, and totals must be signed. Nothing was sent."),
    _("The host did not answer. No payment is touched by it; ask again."),
    _("The host's answer carries no MAC of ours, so nothing it says counts."),
    _("The host compared nothing; it answered with code %(code)s."),
    _("The host's answer says neither that it balances nor that it does not."),
    _("The link is up, to %(host)s. %(answer)s"),
    _("The link is up, to %(host)s."),
)
#: what is wrong with a configuration
_MISFITS: Final = (
    _("No address is known of %(hosts)s."),
    _("No host of it takes a connection."),
    _("Somebody else changed the link meanwhile; read it again, and decide anew."),
    _("A link's name is 1 to 50 letters, digits, dashes and underscores."),
    _("A link needs at least one endpoint: --endpoint HOST:PORT."),
    _("An endpoint is HOST:PORT with a host name or an address, and a port from 1 to 65535."),
    _("An endpoint is named twice."),
    _("Timeouts and intervals are 0.1 to 3600 seconds."),
    _("The breaker counts 1 to 10000 failures, messages and successes."),
    _("The breaker's rate is 1 to 100 percent."),
    _("An echo must be answered before the next one is due."),
    _("The dialect must be one of %(names)s."),
    _("The framing must be one of %(names)s."),
    _("The time zone must be a name such as Asia/Jakarta."),
    _("The terminal id takes 1 to %(width)s characters of ASCII in this dialect."),
    _("The card acceptor id takes 1 to 15 characters of ASCII."),
    _("The bank's UUID must be one."),
    _("The window is 1 to 1024 messages."),
    _("%(why)s The link was not touched."),
)
#: what lowers a link's health
_LOSSES: Final = (
    _("the lease is not renewed in time"),
    _("the worker woke %(seconds)s s late"),
    _("no connection stands"),
    _("the bank does not take what is written"),
    _("%(share)s of the file descriptors are in use"),
    _("what came in waits to be filed: %(share)s of what may"),
    _("not signed on, or the last echo is unanswered"),
    _("the last echo took %(seconds)s s"),
    _("%(n)s answers could not be read"),
    _("no worker holds the link"),
    _("the breaker is not closed"),
    _("%(wanted)s by staff"),
)
#: fields of a configuration
_FIELDS: Final = (
    *(_("Endpoints"), _("Dialect"), _("Framing"), _("Window"), _("Answer timeout"), _("Echo interval")),
    *(_("Echo timeout"), _("Sign on timeout"), _("Failback"), _("Store and forward"), _("Breaker failures")),
    *(_("Breaker rate"), _("Breaker volume"), _("Breaker window"), _("Breaker open"), _("Breaker successes")),
    *(_("Health process"), _("Health network"), _("Health protocol"), _("Health resources"), _("Terminal id")),
    *(_("Card acceptor id"), _("Time zone"), _("Bank uuid"), _("%(field)s (s)")),
)

say: Final = Phrasebook(
    (*_STATES, *_CAUSES, *_VERBS, *_MEANINGS, *_REFUSALS, *_ANSWERS, *_MISFITS, *_LOSSES, *_FIELDS, *_AUTHORS)
).say


def named(state: str) -> str:
    """Return a state or a cause as a person would say it."""
    return say(state.replace("_", " "))
