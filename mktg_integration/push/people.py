"""From claimed rows to people as a plan sees them: mapping, what was last sent, what is known, who owns an address.

A constant number of statements for any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.db import DatabaseError, router, transaction
from django.db.models import Model, QuerySet

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.mirror import optouts, reader
from mktg_integration.models import (
    Connection,
    Contact,
    ExplicitActs,
    Kind,
    Lead,
    OptOut,
    OptOutKind,
    OutboxRow,
    SyncState,
    Tagging,
)
from mktg_integration.people import ALL, is_possible, lead_subject, parse_subject, user_subject
from mktg_integration.profile import UNKNOWN, ConsentStatus, Mapper, Profile, normal_email
from mktg_integration.providers.base import Intent, Person, Provider, Snapshot, Verdict, VerdictKind
from mktg_integration.push import consent as consents
from mktg_integration.push import owners, snapshots
from mktg_integration.push.holders import with_held

MAPPING_FAILED = "mapping_failed"


@dataclass
class Batch:
    """The people of some claimed rows. Who is in none of the three maps has nothing to be told."""

    people: dict[str, Person] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    states: dict[str, SyncState] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    profiles: dict[str, Profile | None] = field(default_factory=dict)
    """What the mapping said of everybody who exists; None: not there, or it failed (see ``verdicts``)."""
    acts: dict[str, list[ExplicitActs]] = field(default_factory=dict)
    optouts: dict[str, OptOut] = field(default_factory=dict)
    implicit_leavers: set[str] = field(default_factory=set)
    """Who would be unsubscribed or erased without having asked for it: what the mass guard counts."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody leaves, by the address known when the row was queued: erased, or (``leaves``) only unsubscribed.

    ``deleted``: because the user's row was deleted, which is no wish of the person's.
    """

    email: str
    leaves: bool
    deleted: bool

    @classmethod
    def of(cls, row: OutboxRow) -> Departure:
        payload = row.payload
        return cls(str(payload["email"]), bool(payload.get("leaves")), bool(payload.get("deleted")))


def load(connection: Connection, driver: Provider[Any, Any], options: Any, rows: Sequence[OutboxRow]) -> Batch:
    """The people whom these rows are about, by subject."""
    return _Loader(connection, driver, options, rows).load()


def preview(connection: Connection, driver: Provider[Any, Any], options: Any, rows: Sequence[OutboxRow]) -> Batch:
    """As ``load``, and nothing stays written: loading may hand a contact over to its new owner."""
    alias = router.db_for_write(Contact)
    with transaction.atomic(using=alias):
        batch = load(connection, driver, options, rows)
        transaction.set_rollback(True, using=alias)
    return batch


class _Loader:
    def __init__(
        self, connection: Connection, driver: Provider[Any, Any], options: Any, rows: Sequence[OutboxRow]
    ) -> None:
        self.connection = connection
        self.driver = driver
        self.options = options
        self.departures = {row.subject: Departure.of(row) for row in rows if row.kind == Kind.ERASURE}
        self.subjects = sorted({row.subject for row in rows if row.kind != Kind.TAG})
        self.tried = {row.subject for row in rows if row.kind == Kind.PROFILE and row.tried_at is not None}
        self.claimed = list(dict.fromkeys(row.subject for row in rows))
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
        gone = [subject for subject in self.subjects if subject not in profiles and subject not in self.departures]
        emails = {subject: profile.email for subject, profile in profiles.items() if profile is not None}
        emails |= {subject: self._last_email(subject) for subject in self.subjects if subject not in emails}
        emails |= {subject: departure.email for subject, departure in self.departures.items()}
        self.opted_out = self._optouts(emails)
        contacts = self.batch.contacts = self._contacts(emails, profiles)
        leaving = dict(self.departures)
        if settings.ON_USER_DELETE != "keep":
            forget = settings.ON_USER_DELETE == "forget"
            leaving |= {s: Departure(self._last_email(s), not forget, True) for s in gone if self._last_email(s)}
        self._add_leaving(leaving, contacts)
        for subject, profile in profiles.items():
            if subject in self.departures:
                continue
            if profile is None:
                self._withdraw(subject, contacts.get(subject))
            elif subject not in self.batch.verdicts:
                self._sync(subject, profile, contacts.get(subject))
        read_adopted_tags(self.batch)
        self._leave_out_dropped()
        self.batch.profiles, self.batch.acts, self.batch.optouts = profiles, self.acts, self.opted_out
        people = {**self.batch.people, **with_held(self.connection, self.batch.people)}
        self.batch.people = {subject: people[subject] for subject in self.claimed if subject in people}
        return self.batch

    def _optouts(self, emails: Mapping[str, str]) -> dict[str, OptOut]:
        """The opt-out of each subject: of the address now, else of the one last sent, which then holds for both."""
        last = {subject: self._last_email(subject) for subject in emails}
        found = optouts.optouts_for(sorted({*emails.values(), *last.values()} - {""}), self.connection.pk)
        by_subject: dict[str, OptOut] = {}
        for subject, email in emails.items():
            optout = found.get(normal_email(email))
            old = found.get(normal_email(last[subject]))
            if optout is None and old is not None and email and not consents.is_lifted(self.acts.get(subject, []), old):
                # A new address does not undo an old no, here or at any other service.
                scope = None if old.scope == ALL else int(old.scope)
                optouts.opt_out(email, kind=OptOutKind(old.kind), source=old.source, scope=scope)
            optout = optout or old
            if optout is not None:
                by_subject[subject] = optout
        return by_subject

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
            # One that is not would have the database refuse everybody's.
            if is_possible(subject):
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
        if prepare is None:
            return users
        try:
            return list(prepare(users))
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 (the site's own code)
            raise ConfigurationError(
                f"prepare() of PROFILE {self.connection.option('PROFILE')!r} raised {type(error).__name__}: correct it"
            ) from None

    def _map(self, profiles: dict[str, Profile | None], subject: str, user: Model) -> None:
        profiles[subject] = None
        with self._mapping_of(subject):
            profile = self.mapper(user, self.connection)
            profiles[subject] = profile.checked() if profile is not None else None

    @contextmanager
    def _mapping_of(self, subject: str) -> Iterator[None]:
        """Whatever the site's own code raises in here kills only this person's row."""
        try:
            yield
        except ProfileError as error:
            self._refuse(subject, "invalid_profile", str(error))
        except Exception as error:  # noqa: BLE001 (the site's own code)
            # The text of a foreign exception may hold the person's data, so only its type is told.
            self._refuse(subject, MAPPING_FAILED, f"the mapping raised {type(error).__name__}: correct it, then replay")

    def _refuse(self, subject: str, code: str, reason: str) -> None:
        self.batch.verdicts[subject] = Verdict(kind=VerdictKind.REJECTED, code=code, reason=reason)

    def _last_email(self, subject: str) -> str:
        state = self.batch.states.get(subject)
        return str(state.sent.get("email", "")) if state is not None else ""

    # Which contact is whose

    def _contacts(self, emails: Mapping[str, str], profiles: Mapping[str, Profile | None]) -> dict[str, Contact]:
        """The contact of each person: by the link, else one at the person's address that nobody owns."""
        contacts: dict[str, Contact] = {}
        strangers: dict[str, list[str]] = {}
        movers: dict[str, str] = {}
        for subject, email in emails.items():
            state = self.batch.states.get(subject)
            if state is not None and state.contact is not None and state.contact.deleted_at is None:
                contacts[subject] = state.contact
                if profiles.get(subject) is not None and normal_email(email) != state.contact.email_key:
                    movers[subject] = normal_email(email)
            elif email:
                strangers.setdefault(normal_email(email), []).append(subject)
        if not strangers and not movers:
            return contacts
        found = reader.contacts_by_email(self.connection, [*strangers, *movers.values()])
        for subject, email_key in movers.items():
            self._check_move(subject, found.get(email_key))
        for email_key, subjects in strangers.items():
            contacts |= self._contact_of(subjects, found.get(email_key))
        return contacts

    def _check_move(self, subject: str, there: Contact | None) -> None:
        """Somebody's new address may be that of another's contact, unless that one is about to move as well."""
        if there is None or not there.subject or there.subject == subject:
            return
        if owners.holds(there.subject, there.email_key):
            self._refuse_duplicate(subject, there.subject)

    def _contact_of(self, subjects: Sequence[str], contact: Contact | None) -> dict[str, Contact]:
        """Of the people who share an address one owns its contact; the others are reported."""
        owner = contact.subject if contact is not None and contact.subject else ""
        if owner and owner not in subjects and owners.may_pass_on(owner, subjects):
            owner = ""
            self._read_anew(subjects)
        owner = owner or owners.first(subjects, leaving=self.departures)
        for subject in subjects:
            if subject != owner and subject not in self.departures:
                self._refuse_duplicate(subject, owner)
        if contact is None:
            return {}
        return {subject: contact for subject in subjects if subject == owner or subject in self.departures}

    def _read_anew(self, subjects: Sequence[str]) -> None:
        """What was sent to the former owner, and said by them, may now be one of these people's."""
        keys = [f"{self.connection.pk}:{subject}" for subject in subjects]
        states = SyncState.objects.filter(key__in=keys).select_related("contact")
        self.batch.states |= {state.subject: state for state in states}
        self.acts = self._acts()

    def _refuse_duplicate(self, subject: str, owner: str) -> None:
        reason = f"{owner} has the same address and owns the contact: correct one of the two"
        self._refuse(subject, "duplicate_address", reason)

    def _add_leaving(self, leaving: Mapping[str, Departure], contacts: Mapping[str, Contact]) -> None:
        """Who is forgotten, and whose row is deleted: the latter only where nobody else holds the address now."""
        if not leaving:
            return
        deleted = {subject: departure.email for subject, departure in leaving.items() if departure.deleted}
        heirs = owners.heirs(self.connection, deleted) if deleted else {}
        for subject, departure in leaving.items():
            if subject in heirs:
                continue
            if departure.deleted:
                self.batch.implicit_leavers.add(subject)
                if not departure.leaves:
                    optouts.opt_out(departure.email, kind=OptOutKind.FORGOTTEN, source=optouts.SITE, scope=None)
            intent = Intent.LEAVE if departure.leaves else Intent.FORGET
            self._add(subject, departure.email, contacts.get(subject), intent)

    # What is wanted of them

    def _withdraw(self, subject: str, contact: Contact | None) -> None:
        """The mapping says no more of this person, or failed: only a refusal is still carried out."""
        state = self.batch.states.get(subject)
        failed = subject in self.batch.verdicts
        if self._is_refused(subject) and (state is not None or contact is not None):
            last = snapshots.load(state.sent) if state is not None and state.sent else None
            last = last or Snapshot(email=contact.email if contact is not None else "")
            tags = last.tags if failed else frozenset()
            wanted = replace(last, tags=tags, consent=ConsentStatus.REFUSED, evidence="opt-out")
            self._add(subject, last.email, contact, Intent.SYNC, wanted)
        elif state is not None and not failed:
            self._add(subject, self._last_email(subject), contact, Intent.WITHDRAW)

    def _is_refused(self, subject: str) -> bool:
        resolved = consents.resolve(
            UNKNOWN, self.acts.get(subject, []), self.opted_out.get(subject), unknown_as_granted=False
        )
        return resolved.status is ConsentStatus.REFUSED

    def _sync(self, subject: str, profile: Profile, contact: Contact | None) -> None:
        acts, optout = self.acts.get(subject, []), self.opted_out.get(subject)
        if consents.is_forgotten(acts, optout):
            return
        policy = self.connection.option("UNKNOWN_CONSENT")
        resolved = consents.resolve(profile.consent, acts, optout, unknown_as_granted=policy == "granted")
        is_new = contact is None and subject not in self.batch.states
        if resolved.status is ConsentStatus.UNKNOWN and policy == "skip" and is_new:
            return
        profile = replace(profile, pid=profile.pid or next((act.pid for act in acts if act.pid), ""))
        added, dropped = _tag_acts(acts, self.driver.normal_tag)
        tags = frozenset(profile.tags) | added
        profile = replace(profile, tags=frozenset(tag for tag in tags if self.driver.normal_tag(tag) not in dropped))
        wanted: Snapshot | None = None
        with self._mapping_of(subject):
            wanted = self.driver.snapshot(profile, user_id=_user_id(subject, profile), options=self.options)
        if wanted is None:
            return
        wanted = replace(wanted, consent=resolved.status, evidence=resolved.evidence, form=resolved.form)
        self._add(subject, profile.email, contact, Intent.SYNC, wanted, explicit=resolved.explicit, drop_tags=dropped)
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
            tried=subject in self.tried,
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


def _tag_acts(acts: Iterable[ExplicitActs], normal: Callable[[str], str]) -> tuple[frozenset[str], frozenset[str]]:
    """What was added, as the site writes it, and what was taken away, as the service compares it."""
    said: dict[str, tuple[str, bool]] = {}
    for act in sorted(acts, key=lambda act: act.scope != ALL):
        said.update({normal(name): (name, add) for name, add in act.tags.items()})
    added = frozenset(name for name, add in said.values() if add)
    return added, frozenset(key for key, (_, add) in said.items() if not add)


def _user_id(subject: str, profile: Profile) -> str:
    if profile.user_id:
        return profile.user_id
    kind, pk = parse_subject(subject)
    return pk if kind == "user" else ""
