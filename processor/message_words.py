"""A message's fields, codes and purpose in the viewer's language; `codec.describe` says them in English.

Codes' meanings are translated where the training terminal says them, operations where the pages of payments do.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from processor.codec.describe import FieldDescription, describe, describe_message
from processor.codec.dialects import Dialect
from staff.speech import Phrasebook

_PURPOSES: Final = (
    *(_("unreadable message"), _("unknown class"), _("authorisation"), _("financial"), _("reversal")),
    *(
        _("reconciliation"),
        _("network"),
        _("network management"),
        _("echo"),
        _("sign-on"),
        _("sign-off"),
        _("cut-over"),
    ),
    *(_("%(message)s, repeat"), _("%(kind)s advice response"), _("%(kind)s response"), _("%(kind)s request")),
    *(_("%(kind)s advice"), _("%(kind)s answer"), _("%(kind)s message")),
)
#: ISO 8583's names of fields that messages carry here, or that a bank may add; STAN, RRN, PAN, PIN and MAC stay so
_NAMES: Final = (
    *(_("Primary Account Number (PAN)"), _("Processing Code"), _("Amount, Transaction"), _("Amount, Settlement")),
    *(_("Amount, Cardholder Billing"), _("Transmission Date and Time"), _("System Trace Audit Number")),
    *(_("Conversion Rate, Settlement"), _("Conversion Rate, Cardholder Billing"), _("Time, Local Transaction")),
    *(_("Date and time, local transaction"), _("Date, Local Transaction"), _("Date, Expiration")),
    *(_("Date, Settlement"), _("Date, Conversion"), _("Date, Capture"), _("Merchant Type")),
    *(_("Acquiring Institution Country Code"), _("Point-of-Service Entry Mode"), _("PAN Sequence Number")),
    *(_("Network International ID (NII)"), _("Function code"), _("Point-of-Service Condition Code")),
    *(_("Message reason code"), _("Point-of-Service Capture Code"), _("Amount, Transaction Fee")),
    *(_("Acquiring Institution ID Code"), _("Forwarding Institution ID Code"), _("Track 2 Data")),
    *(_("Retrieval Reference Number"), _("Authorization ID Response"), _("Response Code"), _("Action code")),
    *(_("Service Restriction Code"), _("Card Acceptor Terminal ID"), _("Card Acceptor ID Code")),
    *(_("Card Acceptor Name/Location"), _("Additional Response Data"), _("Track 1 Data")),
    *(_("Additional Data - ISO"), _("Additional Data - National"), _("Additional Data - Private")),
    *(_("Currency Code, Transaction"), _("Currency Code, Settlement"), _("Currency Code, Cardholder Billing")),
    *(_("Security-Related Control Information"), _("Additional Amounts"), _("ICC data"), _("Reserved ISO")),
    *(_("Reserved National"), _("Reserved Private"), _("Original data elements"), _("Settlement Code")),
    *(_("Network Management Information Code"), _("Message Number"), _("Original Data Elements")),
    *(_("Replacement Amounts"), _("Message Security Code"), _("Payee"), _("Receiving Institution ID Code")),
    *(_("Credits, Number"), _("Credits, Reversal Number"), _("Debits, Number"), _("Debits, Reversal Number")),
    *(_("Credits, Amount"), _("Credits, Reversal Amount"), _("Debits, Amount"), _("Debits, Reversal Amount")),
    *(_("Amount, Net Settlement"), _("Settlement Institution ID Code")),
    *(_("Amount, Cardholder Billing Fee"), _("Amount, Settlement Fee"), _("Amount, Transaction Processing Fee")),
    *(_("Amount, Settlement Processing Fee"), _("PAN Country Code"), _("Forwarding Institution Country Code")),
    *(_("Authorizing ID Response Length"), _("Primary Account Number, Extended"), _("Track 3 Data")),
    *(_("Extended Payment Code"), _("Receiving Institution Country Code"), _("Settlement Institution Country Code")),
    *(_("Message Number, Last"), _("Date, Action"), _("Transfer, Number"), _("Transfer, Reversal Number")),
    *(_("Inquiries, Number"), _("Authorizations, Number"), _("Credits, Processing Fee Amount")),
    *(_("Credits, Transaction Fee Amount"), _("Debits, Processing Fee Amount"), _("Debits, Transaction Fee Amount")),
    *(_("File Update Code"), _("File Security Code"), _("Response Indicator"), _("Service Indicator"), _("File Name")),
    *(_("Reserved for ISO Use"), _("Reserved for National Use"), _("Reserved for Private Use")),
    *(_("Account ID 1"), _("Account ID 2"), _("Transaction Description"), _("Encrypted PIN block")),
)

_purpose: Final = Phrasebook(_PURPOSES).say
_name: Final = Phrasebook(_NAMES).say


def message_in_words(mti: str, fields: dict[str, str], dialect: Dialect) -> str:
    """Return what a message is: "0421" is a reversal advice, repeated."""
    return _purpose(describe_message(mti, fields, dialect))


def network_message(purpose: str) -> str:
    """Return a network management message as a person would say it."""
    return _purpose(purpose.replace("_", "-"))


def fields_in_words(fields: Mapping[str, str], dialect: Dialect) -> list[FieldDescription]:
    """Return masked fields with the dialect's names and what codes mean."""
    return [
        replace(field, name=_name(field.name), meaning=_meaning(field.meaning))
        for field in describe(dict(fields), dialect)
    ]


def _meaning(meaning: str) -> str:
    return ", ".join(gettext(part) for part in meaning.split(", ")) if meaning else ""
