"""What staff fill in about a link: why, and with what. What fits is judged where it is done."""

import json
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from processor import configuring
from processor.checking import LinkRefused
from processor.keys.software import TERMINAL_KEY_BYTES
from processor.link.console import Verb, allowed_messages
from processor.links import LinkConfig
from processor.message_words import network_message
from processor.models import Link
from processor.ordering import field_name
from processor.phrases import say
from processor.versions import ENDPOINTS, FIELDS, Document

_WIDGETS: Final = {
    forms.IntegerField: UnfoldAdminIntegerFieldWidget,
    forms.FloatField: UnfoldAdminDecimalFieldWidget,
    forms.BooleanField: UnfoldBooleanSwitchWidget,
    forms.TypedChoiceField: UnfoldAdminSelectWidget,
}


def _reason() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Why?"),
        min_length=3,
        max_length=200,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=gettext_lazy("It is recorded with your name. Never write card numbers here."),
    )


class RevealForm(forms.Form):
    """Why somebody looks at a message as it was on the wire."""

    reason = _reason()


class KeyForm(forms.Form):
    """A key from the bank's letter, and why. What was typed is never shown again, nor filled in."""

    key = forms.CharField(
        label=gettext_lazy("Key, 64 hexadecimal digits"),
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("Its check value is shown to the second person, who compares it with the letter."),
    )
    reason = _reason()

    def clean_key(self) -> bytes:
        """Digits to bytes; spaces as letters write them are left out."""
        digits: str = "".join(self.cleaned_data["key"].split())
        try:
            terminal_key = bytes.fromhex(digits)
        except ValueError:
            terminal_key = b""
        if len(terminal_key) != TERMINAL_KEY_BYTES:
            raise forms.ValidationError(_("A key is 64 hexadecimal digits: 0 to 9 and A to F."))
        return terminal_key


class CommandForm(forms.Form):
    """Why a link is told to do something, and what the command needs besides."""

    reason = _reason()
    field_order = ("endpoint", "message", "reason")

    def __init__(self, given: Any, verb: Verb, config: LinkConfig) -> None:
        super().__init__(given)
        if verb is Verb.FAIL_OVER:
            hosts = [(number, f"{host}:{port}") for number, (host, port) in enumerate(config.endpoints, start=1)]
            self._choose("endpoint", _("To which host?"), hosts, int)
        elif verb is Verb.SEND:
            words = [(message, network_message(message)) for message in allowed_messages(config.dialect)]
            self._choose("message", _("Which message?"), words, str)
        self.order_fields(self.field_order)

    def _choose(self, name: str, label: str, choices: list[Any], kind: Any) -> None:
        widget = UnfoldAdminSelectWidget()
        self.fields[name] = forms.TypedChoiceField(label=label, choices=choices, coerce=kind, widget=widget)

    @property
    def parameters(self) -> dict[str, Any]:
        """What comes with the command."""
        return {name: given for name, given in self.cleaned_data.items() if name != "reason"}


class ConfigurationForm(forms.ModelForm):  # type: ignore[type-arg]
    """A link's whole configuration; saved by nobody here, but proposed."""

    endpoints = forms.CharField(
        label=gettext_lazy("Hosts"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=gettext_lazy("One HOST:PORT a line, the preferred one first."),
    )
    reason = _reason()

    class Meta:
        model = Link
        fields = list(FIELDS)

    field_order = (ENDPOINTS, *FIELDS, "reason")

    def __init__(self, given: Any, configuration: Document, link: str) -> None:
        hosts = "\n".join(_host(one["host"], one["port"]) for one in configuration[ENDPOINTS])
        super().__init__(given, initial={**configuration, ENDPOINTS: hosts})
        self._link = link
        self.fields["bank_uuid"].required = False
        for name, field in self.fields.items():
            if name in FIELDS:
                field.widget = _widget(field)
                field.label = field_name(name)

    @property
    def configuration(self) -> Document:
        """The configuration as filled in."""
        fields = {name: self.cleaned_data[name] for name in FIELDS}
        return {
            **fields,
            "bank_uuid": str(fields["bank_uuid"]) if fields["bank_uuid"] else None,
            ENDPOINTS: self._hosts,
        }

    @property
    def mark(self) -> str:
        """What tells one configuration from another: what was looked at is what is asked for."""
        return json.dumps(self.configuration, sort_keys=True)

    def clean_endpoints(self) -> str:
        """One host a line."""
        lines: str = self.cleaned_data[ENDPOINTS]
        self._hosts = []
        for line in lines.split():
            host, _colon, port = line.rpartition(":")
            if not (host and port.isascii() and port.isdigit() and len(port) <= 5):
                raise forms.ValidationError(_("A host is HOST:PORT, or [ADDRESS]:PORT for an IPv6 address."))
            self._hosts.append({"host": host.strip("[]"), "port": int(port)})
        return lines

    def clean(self) -> dict[str, Any]:
        """Judge it as a whole, as its worker would."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                configuring.preview(self._link, self.configuration)
            except LinkRefused as refused:
                for field, sentence in refused.misfits:
                    self.add_error(field, say(sentence))
        return cleaned

    def _post_clean(self) -> None:
        """Nothing is put into a link here."""


def _host(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _widget(field: forms.Field) -> Any:
    kind = next((made for known, made in _WIDGETS.items() if isinstance(field, known)), UnfoldAdminTextInputWidget)
    if isinstance(field, forms.TypedChoiceField):
        return kind(choices=field.choices)
    return kind(attrs={"step": "any"} if isinstance(field, forms.FloatField) else {})
