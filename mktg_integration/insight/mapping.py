"""What a connection's mapping makes of people: of one, field by field; and which fields it names the account lacks.

Everything here is told from the site's own database; no service is asked, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.conf import settings
from mktg_integration.exceptions import NotNowError, ProfileError
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, CustomField, Kind, OutboxRow, PullCheckpoint
from mktg_integration.people import user_subject
from mktg_integration.profile import ConsentStatus, Mapper, Profile
from mktg_integration.providers.base import Intent, Person, Snapshot
from mktg_integration.push import people
from mktg_integration.push.introduce import load_catalogue

NEWEST = 20
"""So many of the newest users are mapped to learn which fields the mapping names."""
CUSTOM_FIELDS = "custom_fields"

_CONSENT = {
    ConsentStatus.GRANTED: _("granted"),
    ConsentStatus.REFUSED: _("refused"),
    ConsentStatus.UNKNOWN: _("unknown"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleField:
    """One thing that the mapping gives. ``given`` as the site has it, ``held`` as the service would keep it; ``note``
    says why it would be left out, empty where it goes."""

    name: str
    given: Any
    held: Any = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What the mapping makes of one user. ``why`` says why nothing goes there, empty where something does; ``notes``
    what the service's plan would leave out. ``calls`` is how many kinds of calls a push would begin with."""

    subject: str
    goes: bool
    why: str = ""
    fields: tuple[SampleField, ...] = ()
    notes: tuple[str, ...] = ()
    calls: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """The custom fields that the mapping names for the newest users, beside those that the account was seen to have.

    ``can_list``: whether the service tells its fields at all; ``is_read``: whether they have been pulled.
    """

    can_list: bool
    is_read: bool = False
    named: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    creates: bool = True


def sample(connection: Connection, user_id: str) -> Sample:
    """What would be told of this user. Raises ``NotNowError`` where there is no such user, ``ConfigurationError`` and
    ``DecryptionError`` where the connection or its mapping cannot be used."""
    user = _user(connection, user_id)
    subject = user_subject(user)
    driver = connection.driver
    options = driver.options(connection.account())
    profile, why = _mapped(connection, user)
    row = OutboxRow(connection=connection, kind=Kind.PROFILE, subject=subject)
    batch = people.preview(connection, driver, options, [row])
    verdict, person = batch.verdicts.get(subject), batch.people.get(subject)
    if verdict is not None:
        return Sample(
            subject=subject, goes=False, why=worded(verdict.reason), fields=_fields(connection, profile, None)
        )
    if person is None or person.intent is not Intent.SYNC:
        why = why or _stays_away(connection, profile, person)
        return Sample(subject=subject, goes=False, why=why, fields=_fields(connection, profile, None))
    plan = driver.plan([person], load_catalogue(connection), options)
    refused = plan.verdicts.get(subject)
    note = plan.notes.get(subject, "")
    return Sample(
        subject=subject,
        goes=refused is None,
        why=worded(refused.reason) if refused is not None else "",
        fields=_fields(connection, profile, person.wanted),
        notes=tuple(worded(part) for part in note.split("; ") if part),
        calls=len(plan.calls),
    )


def missing_fields(connection: Connection) -> Fields:
    """Which of the fields that the mapping names the mirror does not know. Raises as ``sample``."""
    driver = connection.driver
    account = connection.account()
    options = driver.options(account)
    if not any(spec.name == CUSTOM_FIELDS for spec in driver.streams(options)):
        return Fields(can_list=False)
    there = set(CustomField.objects.filter(connection=connection, deleted_at=None).values_list("field_key", flat=True))
    read = PullCheckpoint.objects.filter(connection=connection, stream=CUSTOM_FIELDS).exclude(full_at=None)
    named = _named(connection, options)
    return Fields(
        can_list=True,
        is_read=bool(there) or read.exists(),
        named=tuple(sorted(named)),
        missing=tuple(sorted(named - there)),
        creates=bool(account.options.get("CREATE_FIELDS", True)),
    )


def _named(connection: Connection, options: Any) -> set[str]:
    driver = connection.driver
    users = get_user_model()._default_manager.order_by("-pk")
    newest = list(users.values_list("pk", flat=True)[:NEWEST])
    named: set[str | None] = set()
    for user in _prepared(connection, users.filter(pk__in=newest)):
        profile, _why = _mapped(connection, user, prepared=True)
        if profile is None:
            continue
        try:
            held = driver.snapshot(profile, user_id=str(user.pk), options=options)
        except ProfileError:
            continue
        named |= {driver.custom_field(name) for name, value in held.values.items() if value is not None}
    return {name for name in named if name}


def _user(connection: Connection, user_id: str) -> Any:
    users = get_user_model()._default_manager
    try:
        return users.get(pk=user_id)
    except (ObjectDoesNotExist, ValidationError, ValueError, OverflowError):
        raise NotNowError(gettext("There is no user with this id.")) from None


def _mapper(connection: Connection) -> Mapper:
    path = str(connection.option("PROFILE"))
    return cast(Mapper, settings.import_path(path, f"PROFILE of {connection.name!r}"))


def _prepared(connection: Connection, users: QuerySet[Any]) -> Iterable[Any]:
    prepare = getattr(_mapper(connection), "prepare", None)
    return cast(Iterable[Any], prepare(users)) if prepare is not None else users


def _mapped(connection: Connection, user: Any, *, prepared: bool = False) -> tuple[Profile | None, str]:
    """The profile, or None and why there is none."""
    if not prepared:
        user = next(iter(_prepared(connection, type(user)._default_manager.filter(pk=user.pk))), user)
    try:
        profile = _mapper(connection)(user, connection)
        return (profile.checked(), "") if profile is not None else (None, gettext("The mapping leaves this user out."))
    except ProfileError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001 (the site's own code, whose text may hold personal data)
        return None, gettext("The mapping raised %s.") % type(error).__name__


def _stays_away(connection: Connection, profile: Profile | None, person: Person | None) -> str:
    if person is not None:
        return gettext("Nothing is told of this person any more: what we added there is taken away, or they leave.")
    if profile is not None and connection.option("UNKNOWN_CONSENT") == "skip":
        return gettext("Consent is unknown and UNKNOWN_CONSENT is “skip”, or the person was forgotten.")
    return gettext("The person was forgotten; an explicit subscribe brings them back.")


def _fields(connection: Connection, profile: Profile | None, wanted: Snapshot | None) -> tuple[SampleField, ...]:
    if profile is None:
        return ()
    held = _held(wanted)
    rows = [SampleField(name="email", given=profile.email, held=wanted.email if wanted else None)]
    given = {"first_name": profile.first_name, "last_name": profile.last_name, **profile.fields}
    for name, value in given.items():
        kept = _find(held, name, connection)
        rows.append(SampleField(name=name, given=value, held=kept, note=_left_out(value, kept, wanted)))
    tags = sorted(profile.tags)
    rows.append(
        SampleField(name="tags", given=", ".join(tags), held=", ".join(sorted(wanted.tags)) if wanted else None)
    )
    if profile.company is not None:
        company = profile.company
        kept = ", ".join(f"{key}: {value}" for key, value in sorted(wanted.company.items())) if wanted else ""
        note = gettext("The service keeps no companies.") if wanted is not None and not wanted.company else ""
        rows.append(SampleField(name="company", given=company.name or company.domain, held=kept, note=note))
    said = _CONSENT[ConsentStatus(profile.consent.status)]
    rows.append(SampleField(name="consent", given=said, held=_CONSENT[wanted.consent] if wanted else None))
    return tuple(rows)


def _held(wanted: Snapshot | None) -> Mapping[str, Any]:
    """By the name as the site writes it, and by the service's own."""
    if wanted is None:
        return {}
    by_label = {wanted.labels[name]: value for name, value in wanted.values.items() if name in wanted.labels}
    return {**wanted.values, **by_label}


def _find(held: Mapping[str, Any], name: str, connection: Connection) -> Any:
    if name in held:
        return held[name]
    driver = connection.driver
    return next((value for key, value in held.items() if driver.custom_field(key) == name), None)


def _left_out(value: Any, kept: Any, wanted: Snapshot | None) -> str:
    if wanted is None:
        return ""
    if value in (None, ""):
        return gettext("Empty: nothing is sent, or what was sent is cleared.")
    return gettext("Left out: the service has no such field.") if kept is None else ""
