"""From claimed rows to people as a plan sees them: mapping, what was last sent, what is known, who owns an address.

A constant number of statements for any number of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower

from mktg_integration.conf import settings
from mktg_integration.exceptions import ProfileError
from mktg_integration.mirror import optouts, reader
from mktg_integration.models import (
    Connection,
    Contact,
    ExplicitActs,
    Kind,
    Lead,
    OptOut,
    OutboxRow,
    SyncState,
    Tagging,
)
from mktg_integration.people import ALL
from mktg_integration.profile import ConsentStatus, Mapper, Profile, normal_email
from mktg_integration.providers.base import Intent, Person, Provider, Snapshot, Verdict, VerdictKind
from mktg_integration.push import consent as consents
from mktg_integration.push import snapshots
from mktg_integration.push.holders import with_held
from mktg_integration.push.outbox import lead_subject, parse_subject, user_subject

logger = logging.getLogger("mktg_integration.push")


@dataclass
class Batch:
    """The people of some claimed rows. Who is in none of the three maps has nothing to be told."""

    people: dict[str, Person] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    states: dict[str, SyncState] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    implicit_leavers: set[str] = field(default_factory=set)
    """Who would be unsubscribed or erased without having asked for it: what the mass guard counts."""


def load(connection: Connection, driver: Provider[Any, Any], options: Any, rows: Sequence[OutboxRow]) -> Batch:
    """The people whom these rows are about, by subject."""
    return _Loader(connection, driver, options, rows).load()


class _Loader:
    def __init__(
        self, connection: Connection, driver: Provider[Any, Any], options: Any, rows: Sequence[OutboxRow]
    ) -> None:
        self.connection = connection
        self.driver = driver
        self.options = options
        self.erasures = {row.subject: str(row.payload["email"]) for row in rows if row.kind == Kind.ERASURE}
        self.subjects = sorted({row.subject for row in rows if row.kind != Kind.TAG})
        self.batch = Batch()
        self.acts = self._acts()
        self.mapper = cast(
            Mapper, settings.import_path(str(connection.option("PROFILE")), f"PROFILE of {connection.name!r}")
        )

    def load(self) -> Batch:
        keys = [f"{self.connection.pk}:{subject}" for subject in self.subjects]
        states = SyncState.objects.filter(key__in=keys).select_related("contact")
        self.batch.states = {state.subject: state for state in states}
        profiles = self._profiles()
        gone = [subject for subject in self.subjects if subject not in profiles and subject not in self.erasures]
        emails = {subject: profile.email for subject, profile in profiles.items() if profile is not None}
        emails |= {subject: self._last_email(subject) for subject in self.subjects if subject not in emails}
        emails |= self.erasures
        # Also by the address last sent: a new address does not undo an old no.
        addresses = {email for email in emails.values() if email}
        addresses |= {self._last_email(subject) for subject in self.batch.states} - {""}
        opted_out = optouts.optouts_for(sorted(addresses), self.connection.pk)
        contacts = self.batch.contacts = self._contacts(emails)
        for subject, email in self.erasures.items():
            self._add(subject, email, contacts.get(subject), Intent.FORGET)
        self._add_gone(gone, contacts)
        for subject, profile in profiles.items():
            if subject in self.erasures or subject in self.batch.verdicts:
                continue
            if profile is None:
                self._withdraw(subject, contacts.get(subject))
            else:
                optout = opted_out.get(normal_email(profile.email))
                optout = optout or opted_out.get(normal_email(self._last_email(subject)))
                self._sync(subject, profile, contacts.get(subject), optout)
        read_adopted_tags(self.batch)
        self._leave_out_dropped()
        self.batch.people.update(with_held(self.connection, self.batch.people))
        return self.batch

    # Who they are

    def _acts(self) -> dict[str, list[ExplicitActs]]:
        keys = [f"{scope}:{subject}" for subject in self.subjects for scope in (ALL, str(self.connection.pk))]
        acts: dict[str, list[ExplicitActs]] = {}
        for act in ExplicitActs.objects.filter(key__in=keys):
            acts.setdefault(act.subject, []).append(act)
        return acts

    def _profiles(self) -> dict[str, Profile | None]:
        """A checked profile for each user and lead that exists; None where the mapping says: not there."""
        by_kind: dict[str, dict[str, str]] = {}
        for subject in self.subjects:
            kind, pk = parse_subject(subject)
            by_kind.setdefault(kind, {})[pk] = subject
        profiles: dict[str, Profile | None] = {}
        for user in self._users(list(by_kind.get("user", {}))):
            self._map(profiles, user_subject(user), user)
        leads = list(by_kind.get("lead", {}))
        for lead in Lead.objects.filter(pk__in=leads, user=None) if leads else ():
            profiles[lead_subject(lead.pk)] = lead_profile(lead)
        return profiles

    def _users(self, pks: list[str]) -> Iterable[Model]:
        if not pks:
            return ()
        users: QuerySet[Any] = get_user_model()._default_manager.filter(pk__in=pks)
        prepare = getattr(self.mapper, "prepare", None)
        return prepare(users) if prepare is not None else users

    def _map(self, profiles: dict[str, Profile | None], subject: str, user: Model) -> None:
        try:
            profile = self.mapper(user, self.connection)
            profiles[subject] = profile.checked() if profile is not None else None
        except ProfileError as error:
            profiles[subject] = None
            self._refuse(subject, "invalid_profile", str(error))
        except Exception as error:  # noqa: BLE001 (the site's own code; it must kill only its row)
            profiles[subject] = None
            where = type(error).__name__
            # The text of a foreign exception may hold the person's data, so only its type is told.
            self._refuse(subject, "mapping_failed", f"the mapping raised {where}: correct it, then replay")

    def _refuse(self, subject: str, code: str, reason: str) -> None:
        self.batch.verdicts[subject] = Verdict(kind=VerdictKind.REJECTED, code=code, reason=reason)

    def _last_email(self, subject: str) -> str:
        state = self.batch.states.get(subject)
        return str(state.sent.get("email", "")) if state is not None else ""

    # Which contact is whose

    def _contacts(self, emails: Mapping[str, str]) -> dict[str, Contact]:
        """The contact of each person: by the link, else one at the person's address that nobody owns."""
        contacts: dict[str, Contact] = {}
        strangers: dict[str, list[str]] = {}
        for subject, email in emails.items():
            state = self.batch.states.get(subject)
            if state is not None and state.contact is not None and state.contact.deleted_at is None:
                contacts[subject] = state.contact
            elif email:
                strangers.setdefault(normal_email(email), []).append(subject)
        found = reader.contacts_by_email(self.connection, list(strangers)) if strangers else {}
        for email_key, subjects in strangers.items():
            contact = found.get(email_key)
            owner = contact.subject if contact is not None and contact.subject else ""
            if owner and owner not in subjects and self._may_take_over(owner, subjects):
                owner = ""
            # The erasure speaks for whoever holds the address; else the earliest account does.
            owner = owner or min(subjects, key=lambda subject: (subject not in self.erasures, _age(subject)))
            for subject in subjects:
                if subject != owner and subject not in self.erasures:
                    self._refuse(
                        subject,
                        "duplicate_address",
                        f"{owner} has the same address and owns the contact: correct one of the two",
                    )
                elif contact is not None:
                    contacts[subject] = contact
        return contacts

    def _may_take_over(self, owner: str, subjects: Sequence[str]) -> bool:
        """Nobody owns a contact any more who is gone; a lead's goes to the user who has shown to hold the address."""
        kind, pk = parse_subject(owner)
        holders = get_user_model()._default_manager if kind == "user" else Lead.objects
        if not holders.filter(pk=pk).exists():
            return True
        if kind == "user" or not settings.EMAIL_VERIFIED:
            return False
        is_verified = settings.import_path(settings.EMAIL_VERIFIED, 'MKTG_INTEGRATION["EMAIL_VERIFIED"]')
        users = get_user_model()._default_manager.filter(
            pk__in=[parse_subject(subject)[1] for subject in subjects if subject.startswith("user:")]
        )
        user = next((user for user in users if is_verified(user)), None)
        if user is None:
            return False
        Lead.objects.filter(pk=pk).update(user=user)
        SyncState.objects.filter(subject=owner).delete()
        return True

    def _add_gone(self, gone: Sequence[str], contacts: Mapping[str, Contact]) -> None:
        """Users and leads that no longer exist: ``ON_USER_DELETE``, unless somebody else holds the address now."""
        leaving = [subject for subject in gone if subject in self.batch.states and self._last_email(subject)]
        if not leaving or settings.ON_USER_DELETE == "keep":
            return
        holders = self._holders([self._last_email(subject) for subject in leaving])
        for subject in leaving:
            email = self._last_email(subject)
            if normal_email(email) in holders:
                # The contact goes over to the user who still has the address, with that user's next push.
                Contact.objects.filter(connection=self.connection, subject=subject).update(subject="", user=None)
                continue
            intent = Intent.FORGET if settings.ON_USER_DELETE == "forget" else Intent.LEAVE
            self._add(subject, email, contacts.get(subject), intent)
            if parse_subject(subject)[0] == "user":
                self.batch.implicit_leavers.add(subject)

    def _holders(self, emails: Sequence[str]) -> set[str]:
        user_model = get_user_model()
        name = user_model.get_email_field_name()
        wanted = [normal_email(email) for email in emails]
        users = user_model._default_manager.annotate(mktg_email=Lower(name)).filter(mktg_email__in=wanted)
        return {normal_email(email) for email in users.values_list("mktg_email", flat=True)}

    # What is wanted of them

    def _withdraw(self, subject: str, contact: Contact | None) -> None:
        state = self.batch.states.get(subject)
        if state is not None:
            self._add(subject, self._last_email(subject), contact, Intent.WITHDRAW)

    def _sync(self, subject: str, profile: Profile, contact: Contact | None, optout: OptOut | None) -> None:
        acts = self.acts.get(subject, [])
        if consents.is_forgotten(acts, optout):
            return
        policy = self.connection.option("UNKNOWN_CONSENT")
        resolved = consents.resolve(profile.consent, acts, optout, unknown_as_granted=policy == "granted")
        is_new = contact is None and subject not in self.batch.states
        if resolved.status is ConsentStatus.UNKNOWN and policy == "skip" and is_new:
            return
        added, dropped = _tag_acts(acts)
        profile = replace(profile, tags=(frozenset(profile.tags) | added) - dropped)
        try:
            wanted = self.driver.snapshot(profile, user_id=_user_id(subject, profile), options=self.options)
        except ProfileError as error:
            self._refuse(subject, "invalid_profile", str(error))
            return
        wanted = replace(wanted, consent=resolved.status, evidence=resolved.evidence, form=resolved.form)
        drop = frozenset(self.driver.normal_tag(name) for name in dropped)
        self._add(subject, profile.email, contact, Intent.SYNC, wanted, explicit=resolved.explicit, drop_tags=drop)
        said_so = optout is not None or any(act.consent == ConsentStatus.REFUSED for act in acts)
        if resolved.status is ConsentStatus.REFUSED and not said_so and not is_new:
            state = self.batch.states.get(subject)
            if state is not None and state.sent.get("consent") != ConsentStatus.REFUSED:
                self.batch.implicit_leavers.add(subject)

    def _add(
        self,
        subject: str,
        email: str,
        contact: Contact | None,
        intent: Intent,
        wanted: Snapshot | None = None,
        *,
        explicit: bool = False,
        drop_tags: frozenset[str] = frozenset(),
    ) -> None:
        state = self.batch.states.get(subject)
        owned = frozenset(state.owned_tags) if state is not None else frozenset()
        self.batch.people[subject] = Person(
            key=subject,
            email=email,
            intent=intent,
            wanted=wanted,
            explicit=explicit,
            sent=snapshots.load(state.sent) if state is not None and state.sent else None,
            owned_tags=owned,
            drop_tags=drop_tags,
            known=reader.to_record(contact) if contact is not None else None,
        )

    def _leave_out_dropped(self) -> None:
        """Tags that ``remove_tag()`` has taken away already are not taken away with every push."""
        dropping = {
            self.batch.contacts[subject].key: subject
            for subject, person in self.batch.people.items()
            if person.drop_tags and subject in self.batch.contacts
        }
        if not dropping:
            return
        gone = Tagging.objects.filter(contact__in=list(dropping)).exclude(deleted_at=None)
        names_gone: dict[str, set[str]] = {}
        for contact_key, name in gone.values_list("contact_id", "tag__name_key"):
            names_gone.setdefault(dropping[contact_key], set()).add(name)
        for subject, names in names_gone.items():
            person = self.batch.people[subject]
            self.batch.people[subject] = replace(person, drop_tags=person.drop_tags - names)


def read_adopted_tags(batch: Batch) -> None:
    """The tags of contacts that were there before us: those are not ours to remove."""
    adopted = {
        batch.contacts[subject].key: subject
        for subject, person in batch.people.items()
        if subject in batch.contacts and person.sent is None
    }
    if not adopted:
        return
    tags: dict[str, set[str]] = {subject: set() for subject in adopted.values()}
    rows = Tagging.objects.filter(contact__in=list(adopted), deleted_at=None)
    for contact_key, name in rows.values_list("contact_id", "tag__name_key"):
        tags[adopted[contact_key]].add(name)
    for subject, names in tags.items():
        batch.people[subject] = replace(batch.people[subject], known_tags=frozenset(names))


def lead_profile(lead: Lead) -> Profile:
    """The profile that a lead's row holds. Its consent comes of the explicit acts."""
    return Profile(
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        fields=lead.fields,
        tags=frozenset(lead.tags),
        pid=lead.pid,
    )


def _tag_acts(acts: Iterable[ExplicitActs]) -> tuple[frozenset[str], frozenset[str]]:
    said: dict[str, bool] = {}
    for act in sorted(acts, key=lambda act: act.scope != ALL):
        said.update(act.tags)
    return frozenset(n for n, add in said.items() if add), frozenset(n for n, add in said.items() if not add)


def _user_id(subject: str, profile: Profile) -> str:
    if profile.user_id:
        return profile.user_id
    kind, pk = parse_subject(subject)
    return pk if kind == "user" else ""


def _age(subject: str) -> tuple[bool, int, str]:
    """Users before leads, and the earlier account first."""
    kind, pk = parse_subject(subject)
    return (kind != "user", int(pk) if pk.isdigit() else 0, pk)
