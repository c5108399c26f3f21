"""The page beside the sign-in on which somebody with a one-time code chooses a password. `people` decides."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from staff import people
from staff.audit import Actor, Result, actor_of, record, subject_of


def _password(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label, strip=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    )


def _half(label: Any) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"})
    return forms.CharField(label=label, max_length=100, widget=widget)


class CodeForm(forms.Form):
    """Who one is, the halves that two people gave, and the password that nobody else knows, twice."""

    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    code = _half(gettext_lazy("One half of the code"))
    other = _half(gettext_lazy("The other half of the code"))
    password = _password(gettext_lazy("New password"))
    again = _password(gettext_lazy("New password, again"))
    #: whose code it is
    person: User | None = None

    def clean(self) -> dict[str, Any]:
        """Find whose code it is, and see that the password is a good one."""
        given: dict[str, Any] = super().clean() or {}
        if not {"username", "code", "other"} <= given.keys():
            return given
        self.person = people.owner_of(given["username"], (given["code"], given["other"]))
        if self.person is None:
            raise forms.ValidationError(
                _("The name or a half of the code is wrong, or the code was used or is a day old.")
            )
        if given.get("password") != given.get("again"):
            self.add_error("again", _("This is not the same password."))
        elif "password" in given:
            try:
                validate_password(given["password"], self.person)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return given


@never_cache
@sensitive_post_parameters()
@transaction.atomic
def choose(request: HttpRequest) -> HttpResponse:
    """Let the owner of a code choose a password, once: the code is of the password that it ends."""
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and form.person:
        form.person.set_password(form.cleaned_data["password"])
        form.person.save(update_fields=["password"])
        record("choose_password", actor_of(request, form.person), subject=subject_of(form.person))
        messages.success(request, _("The password is yours now. Sign in with it."))
        return redirect("admin:login")
    if request.method == "POST" and form.person is None:
        seen = actor_of(request)
        claimed = Actor(str(request.POST.get("username", "")) or "nobody", seen.address, seen.agent)
        record("choose_password", claimed, Result.FAILED)
    context = {
        **admin.site.each_context(request),
        "title": _("Choose a password"),
        "form": form,
        "rules": password_validators_help_text_html(),
    }
    return TemplateResponse(request, "admin/staff/password.html", context)
