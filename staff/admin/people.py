"""Staff and their groups, in the look of the rest. What makes somebody mightier is asked for: `people` decides."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.forms import UserChangeForm

from staff import people, requests
from staff.audit import actor_of
from staff.pages import Audited, ReasonForm
from staff.roles import NAMES
from staff.speech import unchanged
from staff.words import permission

admin.site.unregister(User)
admin.site.unregister(Group)


class PermissionChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Permissions in the viewer's language; Django keeps their names in English."""

    def label_from_instance(self, obj: Model) -> str:
        """What it allows."""
        return permission(cast("Permission", obj))


class RolesForm(ReasonForm):
    """Roles as boxes to tick."""

    roles = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"),
        label=gettext_lazy("Roles"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    field_order = ("roles", "reason")


@admin.register(User)
class UserAdmin(Audited, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg, misc]
    """Who may sign in. Roles and passwords are given by two people; nobody learns another's password."""

    form = UserChangeForm
    #: nobody chooses a password for somebody else, not even the first
    add_form: Any = forms.ModelForm
    add_fieldsets: Any = ((None, {"fields": ("username", "first_name", "last_name", "email", "is_staff")}),)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        (gettext_lazy("May"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "rights")}),
        (gettext_lazy("When"), {"fields": ("last_login", "date_joined")}),
    )
    change_form_before_template = "admin/ferryman/offers.html"  # type: ignore[assignment]

    def get_urls(self) -> list[Any]:
        """Add the page of roles; that of the password takes Django's place."""
        roles = self.admin_site.admin_view(self.ask_roles)
        return [path("<id>/roles/", roles, name="auth_user_roles"), *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who is added here is to sign in here."""
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Who is not above all roles changes neither those who are, nor what they may themselves."""
        beyond = obj is not None and (obj.is_superuser or obj.pk == request.user.pk)
        return super().has_change_permission(request, obj) and (not beyond or _is_above_roles(request))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People are made inactive: what they did is found by their name."""
        return super().has_delete_permission(request, obj) and _is_above_roles(request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """A name is what requests and the audit know somebody by; the rest makes mightier, or is history."""
        fixed = ("is_superuser", "groups", "rights", "last_login", "date_joined")
        return ("username", *fixed) if obj else fixed

    @admin.display(description=gettext_lazy("Beside these roles"))
    def rights(self, person: User) -> str:
        """What somebody may that no role says."""
        given = person.user_permissions.select_related("content_type")
        return ", ".join(permission(row) for row in given) or "–"

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save and record; a new person has no password before choosing one."""
        if not change and isinstance(obj, User):
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a person, what waits for a second one about them, and what may be asked."""
        person, by = self.get_object(request, object_id), actor_of(request)
        able = isinstance(person, User) and by.may(people.ASK) and not people.objection_to(person, by)
        offers = [
            (_("Give other roles"), reverse("admin:auth_user_roles", args=[object_id])),
            (_("Give a one-time code"), reverse("admin:auth_user_password_change", args=[object_id])),
        ]
        shown = {
            "offers": offers if able else [],
            "asked": [requests.shown(asked) for asked in people.asked_about(person)] if person else [],
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})
        return response

    def ask_roles(self, request: HttpRequest, id: str) -> HttpResponse:  # noqa: A002
        """Take which roles somebody shall have; then ask a second person."""
        person = self._person(request, id)
        form = RolesForm(request.POST or None, initial={"roles": person.groups.all()})
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            return self._ask(
                request, person, lambda: people.ask_roles(person, given["roles"], actor_of(request), given["reason"])
            )
        return self._page(request, people.ROLES, person, form)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Ask a second person to give somebody a one-time code: nobody sets another's password."""
        person, form = self._person(request, id), ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._ask(
                request, person, lambda: people.ask_code(person, actor_of(request), form.cleaned_data["reason"])
            )
        return self._page(request, people.PASSWORD, person, form)

    def _person(self, request: HttpRequest, key: str) -> User:
        person = self.get_object(request, key)
        if not isinstance(person, User):
            raise Http404
        if not self.has_change_permission(request, person):
            raise PermissionDenied
        return person

    def _ask(self, request: HttpRequest, person: User, ask: Any) -> HttpResponse:
        try:
            ask()
        except requests.NotPossible as error:
            messages.error(request, unchanged(error))
        else:
            messages.success(request, _("Asked for. Nothing happens until somebody else agrees."))
        return redirect("admin:auth_user_change", person.pk)

    def _page(self, request: HttpRequest, kind: str, person: User, form: forms.Form) -> HttpResponse:
        title, meaning = people.described(kind)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "meaning": meaning,
            "about": [(_("Person"), person.get_full_name() or person), (_("Username"), person)],
            "form": form,
            "page": reverse("admin:auth_user_change", args=[person.pk]),
        }
        return TemplateResponse(request, "admin/ferryman/ask.html", context)


@admin.register(Group)
class GroupAdmin(Audited, DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """What they may do together. The roles come with Ferryman and are not edited: make a group beside them."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        """Say permissions in the viewer's language; there is no other field of many."""
        known = Permission.objects.select_related("content_type").order_by("content_type", "codename")
        return super().formfield_for_manytomany(
            db_field, request, **kwargs, form_class=PermissionChoice, queryset=known
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A group of one's own making may do anything: that is for those who may already."""
        return super().has_add_permission(request) and _is_above_roles(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A change to a role would be undone by the next upgrade; nobody widens a group that is his own."""
        return super().has_change_permission(request, obj) and not _is_role(obj) and _is_above_roles(request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Nor is a role deleted."""
        return super().has_delete_permission(request, obj) and not _is_role(obj)


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in NAMES


def _is_above_roles(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
