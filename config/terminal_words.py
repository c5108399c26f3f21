"""What the training terminal says, for its page and for its script."""

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: bytes of a PIN block as the page makes it: IV and ciphertext
PIN_BYTES: Final = 32

NO_DEMONSTRATION: Final = _(
    "There is no demonstration merchant with a link to the simulator. Run `manage.py demo`, then load this page again."
)
NO_TRAINING_KEY: Final = _(
    "The link does not work under the simulator's published PIN key. The terminal is for training and has no other "
    "key, so it stays closed."
)
APPROVES: Final = _("approves, while the account has the money")


#: said in packages that know no translator: what the bank's codes mean, and how the simulator behaves
FOR_TRANSLATORS: Final = frozenset(
    {
        *(gettext_noop("approved"), gettext_noop("do not honour"), gettext_noop("partial approval")),
        *(gettext_noop("invalid transaction"), gettext_noop("invalid amount"), gettext_noop("no such card")),
        *(gettext_noop("original not found"), gettext_noop("format error"), gettext_noop("insufficient funds")),
        *(gettext_noop("expired card"), gettext_noop("wrong PIN"), gettext_noop("not permitted")),
        *(gettext_noop("over the limit"), gettext_noop("restricted card"), gettext_noop("answer came too late")),
        *(gettext_noop("host or issuer unavailable"), gettext_noop("duplicate"), gettext_noop("system malfunction")),
        *(gettext_noop("answers"), gettext_noop("never answers"), gettext_noop("answers twice")),
        *(gettext_noop("answers after 5 s more than the client waits"), gettext_noop("closes the connection")),
        *(gettext_noop("answers garbage in an intact frame"), gettext_noop("answers with another amount")),
        gettext_noop("breaks the framing"),
    }
)


def declines(meaning: str) -> str:
    """Return what an ending brings about that the bank declines."""
    return gettext("declines: %(meaning)s") % {"meaning": gettext(meaning)}


def behaves(how: str) -> str:
    """Return what an ending brings about that the bank answers strangely, or not at all."""
    return gettext("the bank %(how)s") % {"how": gettext(how)}


TEXTS: Final[dict[str, "StrPromise"]] = {
    "withdrawal": _("Withdrawal"),
    "balance_inquiry": _("Balance"),
    "transfer": _("Transfer"),
    "bill_payment": _("Bill payment"),
    "no_digits": _("No digit yet"),
    "digits": _("{n} digits entered"),
    "pin_short": _("A PIN has 4 to 12 digits."),
    "amount_none": _("Enter an amount first."),
    "asking": _("The bank is asked."),
    "again": _("No answer came. The same payment is asked again, under the same key: it is carried once."),
    "renewing": _("The terminal signs on again."),
    "not_now": _("Not now"),
    "nothing_accepted": _("Nothing was accepted and no money moved."),
    "no_cash": _("Do not hand out money."),
    "wait": _("It can be asked again in {n} s."),
    "wait_over": _("It can be asked again now."),
    "refused": _("Refused"),
    "unknown": _("Not known"),
    "unknown_advice": _(
        "No answer came, so whether the payment was accepted is not known here. Ask again: under the same key it is "
        "carried once, whatever happened."
    ),
    "unknown_reason": _("The service does not answer."),
    "signed_out": _("You are signed out. Sign in again in another window, then go on here."),
    "no_key": _("The terminal got no API key, so nothing was posted. Try again."),
    "balance_of": _("Balance"),
    "leave": _("It is not known yet how this payment ends; staff finds it by its reference. Press again to leave it."),
    "Terminal": _("Terminal"),
    "Time": _("Time"),
    "Operation": _("Operation"),
    "Amount": _("Amount"),
    "Card": _("Card"),
    "From account": _("From account"),
    "To account": _("To account"),
    "Biller": _("Biller"),
    "Customer number": _("Customer number"),
    "Bank's code": _("Bank's code"),
    "Authorisation code": _("Authorisation code"),
    "RRN": _("RRN"),
    "Payment": _("Payment"),
    "Reference": _("Reference"),
}

_PENDING: Final = _("How it ends is not known yet. This receipt changes by itself as soon as it is.")
_NOTHING: Final = _("No money moved.")
_KEEP: Final = _("Do not hand out money.")

#: status -> how it looks, what it is called, what it means for the money, and what for the notes of a withdrawal
STATES: Final[dict[str, dict[str, Any]]] = {
    "approved": {
        "tone": "good",
        "title": _("Approved"),
        "advice": _("The bank has carried it out."),
        "cash": _("Hand out the money."),
    },
    "declined": {"tone": "bad", "title": _("Declined"), "advice": _NOTHING, "cash": _KEEP},
    "queued": {"tone": "open", "title": _("Accepted, not sent yet"), "advice": _PENDING, "cash": _KEEP},
    "in_flight": {"tone": "open", "title": _("Sent, the bank has not answered"), "advice": _PENDING, "cash": _KEEP},
    "reversing": {
        "tone": "open",
        "title": _("Being taken back"),
        "advice": _(
            "What the bank did is not known or does not count, so it is being undone. Do not begin anew before this "
            "has ended."
        ),
        "cash": _KEEP,
    },
    "on_hold": {
        "tone": "open",
        "title": _("A person has to settle this"),
        "advice": _("Staff asks the bank and settles it; its story says what is known."),
        "cash": _KEEP,
    },
    "reversed": {
        "tone": "bad",
        "title": _("Taken back"),
        "advice": _("The account is as it was before."),
        "cash": _KEEP,
    },
    "expired": {"tone": "bad", "title": _("Expired before it was sent"), "advice": _NOTHING, "cash": _KEEP},
    "cancelled": {"tone": "bad", "title": _("Cancelled before it was sent"), "advice": _NOTHING, "cash": _KEEP},
    "failed": {"tone": "bad", "title": _("Failed"), "advice": _NOTHING, "cash": _KEEP},
}
