"""What actions, permissions and kinds of things are called, in the viewer's language.

The audit keeps actions by their codes, and Django keeps permissions by their English names: both are for machines to
find. The packages above do things that staff knows by these codes alone, as it knows permissions (see `roles`).
"""

from typing import Final

from django.apps import apps
from django.contrib.auth.models import Permission
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from staff.speech import Phrasebook

#: whatever leaves a record: its code, with a space for what parts its words
_ACTIONS: Final = (
    *(_("sign in"), _("sign out"), _("open page"), _("change own password"), _("choose password"), _("show code")),
    *(_("add"), _("change"), _("delete"), _("set role"), _("set roles"), _("new password")),
    *(_("export audit"), _("export payments"), _("export report"), _("export differences")),
    *(_("retry payment"), _("cancel payment"), _("reverse payment"), _("resolve payment"), _("void payment")),
    *(_("capture payment"), _("refund payment")),
    *(_("retry payments"), _("cancel payments"), _("reverse payments"), _("resolve payments"), _("void payments")),
    *(_("upload host file"), _("compare host file"), _("work through difference"), _("reveal message")),
    *(_("replay webhooks"), _("resend webhook"), _("enable webhook endpoint"), _("disable webhook endpoint")),
    *(_("make api key"), _("change api key"), _("replace api key"), _("revoke api key")),
    *(_("make route"), _("change route"), _("replace link key"), _("command link"), _("configure link")),
    *(_("link command"), _("link configure")),
)
#: tables without a page of their own, which permissions are about too
_THINGS: Final = (
    *(_("endpoint"), _("inbound frame"), _("key"), _("lease"), _("link command"), _("link event")),
    *(_("link status"), _("link version"), _("process"), _("attempt"), _("difference"), _("event")),
    *(_("host line"), _("job item"), _("minute"), _("saved search"), _("webhook attempt"), _("webhook message")),
    *(_("access attempt"), _("access attempt expiration"), _("access failure"), _("access log"), _("page")),
    *(_("log entry"), _("content type"), _("session"), _("user"), _("group"), _("permission"), _("API key")),
)
#: Django's four of every table, by the beginning of their codes
_COMMON: Final = {
    "add": _("Can add: %(thing)s"),
    "change": _("Can change: %(thing)s"),
    "delete": _("Can delete: %(thing)s"),
    "view": _("Can view: %(thing)s"),
}

_action: Final = Phrasebook(_ACTIONS).say
_thing: Final = Phrasebook(_THINGS).say


def action(code: str) -> str:
    """Return what was done, as a person would say it: "sign_in" is "sign in"."""
    return _action(code.replace("_", " ").replace(".", " "))


def code_of(words: str) -> str:
    """Return the code of an action as a person says it, or the words as they are: they may be the code."""
    codes = {action(phrase).lower(): phrase for phrase in _ACTIONS}
    phrase = codes.get(words.lower(), words)
    return phrase.replace(" ", "." if phrase.startswith("link ") else "_")


def thing(kind: str) -> str:
    """Return what a kind of thing is called: a model's label such as "transactions.payment", or a word."""
    app, _dot, model = kind.partition(".")
    try:
        return _thing(str(apps.get_model(app, model)._meta.verbose_name)) if model else _thing(kind)  # noqa: SLF001
    except LookupError:
        return model


def permission(row: Permission) -> str:
    """Return what a permission allows."""
    app, model = row.content_type.app_label, row.content_type.model
    begins, _dash, of = row.codename.partition("_")
    if begins in _COMMON and of == model:
        return gettext(_COMMON[begins]) % {"thing": thing(f"{app}.{model}")}
    return gettext(row.name)
