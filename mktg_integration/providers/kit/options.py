"""The options and credentials of a Kit connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers.base import Account
from mktg_integration.providers.values import flag

API_KEY = "API_KEY"
ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - the setting's name
REFRESH_TOKEN = "REFRESH_TOKEN"  # noqa: S105 - the setting's name
CREDENTIAL_NAMES = (API_KEY, ACCESS_TOKEN, "CLIENT_ID", "CLIENT_SECRET", REFRESH_TOKEN)
OPTION_NAMES = ("PROFILE", "UNKNOWN_CONSENT", "CREATE_FIELDS", "CREATE_TAGS", "FORM")


@dataclass(frozen=True, kw_only=True, slots=True)
class KitOptions:
    """``is_oauth``: the connection may use what is under ``/v4/bulk/``. ``create_fields`` and ``create_tags``: what the
    mapping names and the account lacks is created there; otherwise it is left out, with a note. ``form``: the form, by
    name or id, that ``subscribe()`` puts people on, so that Kit asks them for a confirmation; empty: they are
    subscribed at once.
    """

    is_oauth: bool = False
    create_fields: bool = True
    create_tags: bool = True
    form: str = ""


def parse_options(account: Account) -> KitOptions:
    """The account's options. Raises ``ConfigurationError`` naming the one that is wrong."""
    return KitOptions(
        is_oauth=is_oauth(account.credentials),
        create_fields=flag(account, "CREATE_FIELDS", default=True),
        create_tags=flag(account, "CREATE_TAGS", default=True),
        form=_form(account),
    )


def _form(account: Account) -> str:
    form = account.options.get("FORM")
    if form is None:
        return ""
    if isinstance(form, bool) or not isinstance(form, str | int):
        raise ConfigurationError(f"{account.name}: FORM must be a form's name or id")
    return str(form).strip()


def is_oauth(credentials: Mapping[str, str]) -> bool:
    """Whether requests carry a token; where there is a key as well, the token can do more."""
    return bool(credentials.get(ACCESS_TOKEN) or credentials.get(REFRESH_TOKEN))


def check_credentials(credentials: Mapping[str, str]) -> None:
    """Raise ``ConfigurationError`` where there is neither a key nor a token."""
    if not credentials.get(API_KEY) and not is_oauth(credentials):
        raise ConfigurationError(
            "Kit needs API_KEY (Kit: Settings, Developer, V4 key) or ACCESS_TOKEN (from OAuth): set one of the two"
        )
