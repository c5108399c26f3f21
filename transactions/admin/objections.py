"""Why something is not possible with a payment, in the viewer's language: the rules say it in English."""

from typing import Final

from django.utils.translation import gettext_noop as _

from staff.speech import Phrasebook

_OBJECTIONS: Final = (
    _("The payment has ended already (%(status)s); it cannot be cancelled."),
    _("The payment is on its way to the bank and cannot be cancelled any more."),
    _("Nothing of this payment is on hold or waiting for its time."),
    _("Only a payment on hold that the bank may have carried out is reversed."),
    _("Nothing of this payment waits for a person, or it is with the bank just now: look again."),
    _("The link that carried the payment is gone, and no other knows it."),
    _("The payment moved on meanwhile: look again."),
    _("The payment changed meanwhile: look again."),
    _("The payment has ended (%(status)s); an ended payment is never reopened."),
    _("The bank may have carried this out. It is never sent again: reverse it, or resolve it."),
    _("A balance inquiry moved no money: there is nothing to reverse."),
    _("What became of this is known; there is nothing to resolve."),
    _("A payment is resolved as approved or as reversed."),
    _("The payment is %(status)s already; only its open reversal can be resolved, as reversed."),
    _("The payment is %(status)s and cannot be cancelled any more."),
    _("The bank may have carried this out: it cannot be cancelled. Reverse it, or resolve it."),
    _("The bank may have carried this out: it cannot be cancelled. It is repeated until answered."),
    _("The payment is being reversed and cannot be cancelled."),
    _("Of this payment %(left)s can still be %(done)s, in minor units."),
    _("A void is of the whole amount."),
    _("The payment is %(status)s; only an approved one can be followed up."),
    _("The payment was voided."),
    _("A void of this payment is on its way; its end decides what can follow."),
    _("Nothing of this payment is left to be %(done)s."),
    _("The payment has no approved attempt to refer to."),
    _("Only an authorisation is captured; this payment moved its money already."),
    _("A %(operation)s is not refunded."),
    _("A %(operation)s is not voided."),
    _("Part of this payment was captured or refunded; it cannot be voided as a whole."),
    _("A capture or refund of this payment is on its way; it cannot be voided as a whole."),
)
#: what stands in their gaps
_WORDS: Final = (
    *(_("queued"), _("in_flight"), _("reversing"), _("on_hold"), _("approved"), _("declined"), _("reversed")),
    *(_("expired"), _("cancelled"), _("failed"), _("captured"), _("refunded"), _("voided"), _("purchase")),
    *(_("withdrawal"), _("balance inquiry"), _("deposit"), _("transfer"), _("bill payment"), _("authorisation")),
    *(_("capture"), _("refund"), _("void")),
)

say: Final = Phrasebook((*_OBJECTIONS, *_WORDS)).say
