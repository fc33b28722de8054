"""The plain values of a push: a person as a plan sees one, the plan's calls, and what comes back of them.

The push engine works in rounds: plan, execute, fold the answers into the people (``Person.told``), plan again, until
the plan is empty. So a call that needs an earlier answer (an id, whether a contact was new) is simply planned in the
next round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mktg_integration.profile import ConsentStatus
from mktg_integration.records import (
    CompanyRecord,
    ContactRecord,
    ContactStatus,
    CustomFieldRecord,
    Record,
    TagRecord,
)

JSON = Any


# A person


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One person in a service's normal form: what is wanted there, or what was last sent.

    ``values`` and ``company`` are keyed and formed as the service stores them, empty as ``None``.
    ``tags`` are names as the service compares them. ``evidence`` is the digest of the consent's evidence.
    """

    email: str
    values: Mapping[str, JSON] = field(default_factory=dict)
    company: Mapping[str, JSON] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    consent: ConsentStatus = ConsentStatus.UNKNOWN
    evidence: str = ""
    form: str = field(default="", compare=False)
    """Of a consent by ``subscribe(form=…)``: the form that asks for its confirmation, by name or remote id."""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    """How the site writes tags and keys of ``values``, where the normal form loses it: for creating them there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """What one call tells a service of one person; folded into ``Person.sent`` once the service has taken it."""

    email: str | None = None
    values: Mapping[str, JSON] = field(default_factory=dict)
    company: Mapping[str, JSON] = field(default_factory=dict)
    tags_added: frozenset[str] = frozenset()
    tags_removed: frozenset[str] = frozenset()
    consent: ConsentStatus | None = None
    evidence: str = ""
    status: ContactStatus | None = None
    """The contact's status once the service has taken the call, where its answer does not say."""


class Intent(StrEnum):
    """Why a person is in a plan."""

    SYNC = "sync"
    """Bring the service to what is wanted."""
    WITHDRAW = "withdraw"
    """The mapping turned None: take our tags away and say nothing more."""
    LEAVE = "leave"
    """The user is gone: unsubscribe, take our tags away."""
    FORGET = "forget"
    """Erase the contact at the service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """One person at one connection: all that a plan may look at.

    ``key`` is the outbox's subject. ``wanted`` is set where the intent is SYNC. ``explicit`` says that the wanted
    consent comes of an explicit ``subscribe()``, the one act that may bring a contact back, once per evidence.
    ``sent`` is what was last sent, ``owned_tags`` the tags that we added, ``drop_tags`` those that ``remove_tag()``
    takes away whoever added them. ``known`` is what the service last told, ``known_tags`` its tags (None: not read).
    ``absent`` means looked for and not there. ``taken`` means that the wanted address belongs to another contact.
    ``fresh`` means that our own call created the contact, so no one can have opted out there.
    ``barred`` means that the service would not let this credential read or erase the contact.
    ``tried`` means that an earlier push may have reached the service without our knowing: a contact found there may be
    ours of then, and have opted out since.
    ``held`` are addresses, in normal form, that the site gives to another person or was last sent of one: nothing may
    be removed there. ``email`` is the address to look for where the person is not known by id.
    ``patient``: part of a backfill, which the service may carry out later and answer by a callback.
    """

    key: str
    email: str
    intent: Intent = Intent.SYNC
    wanted: Snapshot | None = None
    explicit: bool = False
    sent: Snapshot | None = None
    owned_tags: frozenset[str] = frozenset()
    drop_tags: frozenset[str] = frozenset()
    known: ContactRecord | None = None
    known_tags: frozenset[str] | None = None
    absent: bool = False
    taken: bool = False
    fresh: bool = False
    barred: bool = False
    patient: bool = False
    tried: bool = False
    held: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def told(self, patch: Patch, result: Result) -> Person:
        """This person after the service has taken ``patch`` and answered ``result`` (a DONE one)."""
        if result.gone:
            return replace(self, known=None, known_tags=None)
        sent = self.sent or Snapshot(email=self.email)
        tags = (sent.tags | patch.tags_added) - patch.tags_removed
        sent = replace(
            sent,
            email=patch.email or sent.email,
            values={**sent.values, **patch.values},
            company={**sent.company, **patch.company},
            tags=tags,
            consent=sent.consent if patch.consent is None else patch.consent,
            evidence=patch.evidence or sent.evidence,
        )
        carries = patch != Patch() or self.sent is not None
        before = self.known_tags or frozenset()
        already = before if result.had_tags is None else before | result.had_tags
        owned = (self.owned_tags | (patch.tags_added - already)) - patch.tags_removed
        known = result.record or self.known
        if known is not None and result.record is None:
            known = replace(
                known,
                email=patch.email or known.email,
                values={**known.values, **patch.values},
                company={**known.company, **patch.company},
            )
        elif known is not None and self.known is not None and known.remote_id == self.known.remote_id:
            status = self.known.status if known.status is ContactStatus.UNREAD else known.status
            known = replace(known, status=status, values={**self.known.values, **patch.values, **known.values})
        elif known is not None:
            known = replace(known, values={**patch.values, **known.values})
        if known is not None and patch.status is not None:
            known = replace(known, status=patch.status)
        known_tags = self.known_tags
        if known_tags is not None or patch.tags_added:
            known_tags = (before | patch.tags_added) - patch.tags_removed
        if result.tags is not None:
            known_tags = result.tags
        return replace(
            self,
            sent=sent if carries else None,
            owned_tags=owned,
            drop_tags=self.drop_tags - patch.tags_removed,
            known=known,
            known_tags=known_tags,
            absent=False if known is not None else self.absent,
            taken=self.taken and patch.email is None and result.record is None,
            fresh=self.fresh or result.created is True,
            barred=self.barred or result.barred,
        )

    def adopted(self) -> Person:
        """This person, found at the service just as wanted: what is already so counts as sent, and no tag is ours."""
        if self.sent is not None or self.known is None or self.wanted is None:
            return self
        known, wanted = self.known, self.wanted
        sent = Snapshot(
            email=known.email,
            values={key: value for key, value in wanted.values.items() if known.values.get(key) == value},
            company={key: value for key, value in wanted.company.items() if known.company.get(key) == value},
            tags=wanted.tags & (self.known_tags or frozenset()),
        )
        return replace(self, sent=sent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """The tags and custom fields that the account is known to have, by the name or key in normal form."""

    tags: Mapping[str, TagRecord] = field(default_factory=dict)
    fields: Mapping[str, CustomFieldRecord] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)
    """Remote ids by ``normal_name``, as far as they had to be looked up; of ``sequences`` too."""
    sequences: Mapping[str, str] = field(default_factory=dict)


def normal_name(name: str) -> str:
    """The form in which the names of forms and sequences are compared."""
    return name.strip().casefold()


# A plan, and what comes back


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request to be made. ``items`` is what it carries of each person, by ``Person.key``.

    ``operation`` names the provider's method, ``common`` what is said once for all items. A call without items is
    about the account (a tag to create). ``urgent`` calls (unsubscribe, erase) are made before all others.
    ``later``: the service carries it out when it can and answers it by a callback, to ``common["callback_url"]``, which
    the engine sets.
    ``repeatable``: after a lost answer the same call may be made again without doing anything twice.
    """

    operation: str
    items: Mapping[str, JSON] = field(default_factory=dict)
    common: Mapping[str, JSON] = field(default_factory=dict)
    patches: Mapping[str, Patch] = field(default_factory=dict)
    urgent: bool = False
    repeatable: bool = True
    later: bool = False

    def only(self, keys: Collection[str]) -> Call:
        """This call for some of its people, as bisecting a refused batch needs it."""
        return replace(
            self,
            items={key: item for key, item in self.items.items() if key in keys},
            patches={key: patch for key, patch in self.patches.items() if key in keys},
        )


class VerdictKind(StrEnum):
    REJECTED = "rejected"
    """Cannot be sent as it is; kept as dead with its reason."""
    NEEDS_PERSON = "needs_person"
    """Must happen and the service documents no way: a person has to do it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """An end without a call. ``code`` is a short word for grouping, ``reason`` says what to do."""

    kind: VerdictKind
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do next for a batch of people. A person in neither map is done.

    ``notes`` tell what was left out and why (a custom field that the account lacks), by person; they do not end it.
    """

    calls: tuple[Call, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    patches: Mapping[str, Patch] = field(default_factory=dict)
    """What counts as told with a verdict, by person: that one is to do it, so later pushes need not ask again."""
    notes: Mapping[str, str] = field(default_factory=dict)


class Outcome(StrEnum):
    DONE = "done"
    REJECTED = "rejected"
    """The service refused this person's data."""
    ABSENT = "absent"
    """The contact is not there (any more)."""
    TAKEN = "taken"
    """The address belongs to another contact."""
    PENDING = "pending"
    """The service has taken it and tells by a callback what became of it."""
    RETRY = "retry"
    """This item failed for a passing reason, or the answer does not say what became of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a service answered for one person of a call.

    ``record`` is the contact as answered. ``created``: our call made it (None: not said). ``had_tags``: which of the
    tags just added it had before (None: not said). ``tags``: all of its tags, where the call read them.
    ``barred``: a DONE that changed nothing, because the credential may not do this one thing (read, erase).
    ``gone``: a DONE that changed nothing, because nothing is there under the id that the contact was known by; it may
    be there under its address (deleted and imported anew), which is to be looked for before it counts as absent.
    ``step``: of an occurrence that is not finished with this call: what its next plan is told (``Progress.step``).
    """

    outcome: Outcome = Outcome.DONE
    record: ContactRecord | None = None
    created: bool | None = None
    had_tags: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    barred: bool = False
    gone: bool = False
    step: Mapping[str, JSON] | None = None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one call brought back. Tags, fields and companies are what the account was found to have or given."""

    results: Mapping[str, Result] = field(default_factory=dict)
    tags: Sequence[TagRecord] = ()
    fields: Sequence[CustomFieldRecord] = ()
    companies: Sequence[CompanyRecord] = ()
    records: Sequence[Record] = ()
    """What else was told for the mirror: a purchase, a membership."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something a person did. ``key`` makes a repeat harmless where the service knows such keys."""

    key: str
    name: str
    occurred_at: str
    """ISO 8601, UTC."""
    data: Mapping[str, JSON] = field(default_factory=dict)
