"""The form for a stored connection. Credentials go in and never come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.connections import account_key, check_may_set, check_not_moved, checked_account, try_out
from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection
from mktg_integration.providers.base import Account, Provider
from mktg_integration.providers.registry import get_provider, provider_names

_PREFIX = "credential"


def credential_fields(providers: Iterator[str] | tuple[str, ...] | None = None) -> dict[str, tuple[str, str]]:
    """The form's write-only fields: ``{field: (provider, credential)}``."""
    return {
        f"{_PREFIX}-{provider}-{name}": (provider, name)
        for provider in providers or provider_names()
        for name in get_provider(provider).credential_names
    }


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new connection chooses its provider; an existing one keeps it, because its contacts are known by its ids."""

    forget_credentials = forms.BooleanField(
        label=_("Forget the credentials stored so far"),
        required=False,
        help_text=_("Before those entered here are stored, for instance to change from an API key to a token."),
    )

    user: Any = AnonymousUser()
    """Who fills it in."""

    class Meta:
        model = Connection
        fields = ["name", "provider", "push_enabled", "paused", "dry_run", "stored_options"]
        help_texts = {
            "stored_options": _("As in settings: BASE_URL, PROFILE, and the provider's own options."),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._mapping_before = self.instance.option("PROFILE") if self.instance.pk else None
        self._options_before = dict(self.instance.stored_options)
        if "provider" in self.fields:
            choices = [(name, get_provider(name).label) for name in provider_names()]
            self.fields["provider"] = forms.ChoiceField(label=_("Provider"), choices=choices)
        for field, (_provider, name) in credential_fields().items():
            if field in self.fields:
                continue
            self.fields[field] = forms.CharField(
                label=name,
                required=False,
                # `new-password`: a browser must not fill in the visitor's own password.
                widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
                help_text=_("Leave empty to keep what is stored.") if self.instance.pk else "",
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        provider = cleaned.get("provider") or self.instance.provider
        if provider and not self.errors:
            self._check(provider, cleaned)
        return cleaned

    def audit_detail(self) -> dict[str, Any]:
        """What was changed, by the names of fields and credentials, and the mapping before and now where it is another
        one. Never a value that was entered."""
        by_field = {field: name for field, (_provider, name) in credential_fields().items()}
        changed = {by_field.get(name, name) for name in self.changed_data}
        if self.instance.stored_options == self._options_before:
            # Django takes an empty object for a change.
            changed.discard("stored_options")
        detail: dict[str, Any] = {"changed": sorted(changed)}
        before, now = self._mapping_before, self.instance.option("PROFILE")
        if before != now:
            detail["mapping"] = {"before": before, "now": now}
        return detail

    def save(self, commit: bool = True) -> Any:
        self.instance.credentials = self._credentials
        return super().save(commit)

    def _check(self, provider: str, cleaned: dict[str, Any]) -> None:
        driver = get_provider(provider)
        options = cleaned.get("stored_options") or {}
        self._credentials = self._merged(provider, cleaned)
        try:
            credentials = self.instance.with_tokens(dict(self._credentials), driver.oauth)
            account = checked_account(self.instance.name, driver, credentials, options)
            check_may_set(self.user, driver, options, self._options_before)
            if self.instance.pk:
                kept = set(self._credentials) - set(self._entered(provider, cleaned))
                check_not_moved(self.instance, driver, options, kept)
            if self._entered(provider, cleaned):
                self._try_out(driver, account)
        except ConfigurationError as error:
            self.add_error(None, worded(str(error)))

    def _try_out(self, driver: Provider[Any, Any], account: Account) -> None:
        """Before it is saved: a wrong key is found while whoever entered it still looks at the page."""
        identity = try_out(driver, account)
        if identity is None:
            return
        key = account_key(driver, identity)
        same = Connection.objects.filter(account_key=key).exclude(pk=self.instance.pk).first()
        if same is not None:
            raise ConfigurationError(gettext("this account is connected already, as {name}").format(name=same.name))
        if self.instance.pk and self.instance.account_key not in (None, key):
            raise ConfigurationError(
                gettext(
                    "this is the key of another account; a connection keeps its account, because its contacts are "
                    "known by that account's ids: add the other one as a new connection"
                )
            )
        self.instance.account_key, self.instance.account_label = key, identity.label[:255]

    def _merged(self, provider: str, cleaned: dict[str, Any]) -> dict[str, str]:
        stored: dict[str, str] = {}
        if self.instance.pk and not cleaned.get("forget_credentials"):
            try:
                stored = dict(self.instance.credentials)
            except DecryptionError:
                self.add_error("forget_credentials", _("What is stored cannot be read: forget it, and enter all anew."))
        return {**stored, **self._entered(provider, cleaned)}

    @staticmethod
    def _entered(provider: str, cleaned: dict[str, Any]) -> dict[str, str]:
        return {
            name: cleaned[field].strip()
            for field, (_provider, name) in credential_fields((provider,)).items()
            if (cleaned.get(field) or "").strip()
        }
