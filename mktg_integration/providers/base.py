"""The contract: what a provider says of itself, and the plain values that pass between it and the engines.

A provider knows no ORM and no Django settings. It turns people into a plan of calls (pure), a call into one HTTP
request, and an answer into records. The push engine works in rounds: plan, execute, fold the answers into the people
(``Person.told``), plan again, until the plan is empty. So a call that needs an earlier answer (an id, whether a contact
was new) is simply planned in the next round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import ConsentStatus, Profile
from mktg_integration.providers.broadcasts import BroadcastDraft
from mktg_integration.providers.oauth import OAuthClient, OAuthEndpoints
from mktg_integration.providers.occurrences import Occurrence, Progress
from mktg_integration.providers.webhooks import Webhooks
from mktg_integration.records import (
    BroadcastRecord,
    CompanyRecord,
    ContactRecord,
    ContactStatus,
    CustomFieldRecord,
    Record,
    TagRecord,
)

JSON = Any


# What a connection is, to a provider


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a provider needs to know of one connection. ``credentials`` never leave it but in a request's headers."""

    name: str
    base_url: str
    credentials: Mapping[str, str] = field(repr=False)
    options: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which account at the service a credential opens. ``label`` is for people, such as the account's name."""

    remote_id: str
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capability:
    """One thing that a provider can or cannot do, for the doctor and the docs."""

    name: str
    supported: bool
    note: str = ""


class Verb(StrEnum):
    """The vocabulary of ``shortcuts``; a provider lists those that it can do."""

    SYNC = "sync_user"
    TAG = "add_tag"
    UNTAG = "remove_tag"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    TRACK = "track"
    PURCHASE = "record_purchase"
    FORM = "subscribe by a form"
    SEQUENCE = "add_to_sequence"
    CREATE_TAG = "create_tag"
    RENAME_TAG = "rename_tag"
    FORGET = "forget"


# A person, as a plan sees one


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
class StreamSpec:
    """A resource that can be read page by page. Its ``name`` is the ``stream`` of ``Provider.read``.

    ``record`` is the kind of record that makes up the stream; a full reading shows all of them. ``extra`` kinds come
    with them. ``parent`` names the stream that it is read for, one list for each of that one's records:
    ``<name>:<parent's remote id>``. ``by_date``: ``read`` takes ``since``. ``newest_first``: the list begins with what
    is new, so what follows a page without news is known. ``lags``: a list, which lags behind writes. ``requests``: how
    many requests one page takes.
    """

    name: str
    record: type[Record]
    extra: tuple[type[Record], ...] = ()
    parent: str = ""
    by_date: bool = False
    newest_first: bool = False
    lags: bool = True
    requests: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of a stream; ``cursor`` asks for the next one, None ends it."""

    records: Sequence[Record]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something a person did. ``key`` makes a repeat harmless where the service knows such keys."""

    key: str
    name: str
    occurred_at: str
    """ISO 8601, UTC."""
    data: Mapping[str, JSON] = field(default_factory=dict)


C = TypeVar("C")
O = TypeVar("O")  # noqa: E741


class Provider(ABC, Generic[C, O]):
    """A service. ``C`` is its client, ``O`` its parsed options; one instance serves all connections."""

    name: ClassVar[str]
    label: ClassVar[str]
    default_base_url: ClassVar[str]
    credential_names: ClassVar[tuple[str, ...]]
    """Keys of ``Account.credentials`` that it knows."""
    option_names: ClassVar[tuple[str, ...]]
    """Keys of a connection's options (upper case, as in settings) that it knows."""
    reserved_options: ClassVar[frozenset[str]] = frozenset()
    """Those of its options that decide which code runs: in the admin and the API only a superuser sets them."""
    verbs: ClassVar[frozenset[Verb]]
    people_per_call: ClassVar[int] = 1
    """The most people that one call can carry; the drain waits a moment to fill it."""
    introduces: ClassVar[bool] = False
    """Whether contacts and tags can be listed, so that they are read before the first write."""
    reactivates: ClassVar[bool] = True
    """Whether an explicit ``subscribe()`` alone brings back who opted out at the service."""
    oauth: ClassVar[OAuthEndpoints | None] = None
    """How an account is connected by OAuth, None where the service has no such way."""
    webhooks: ClassVar[Webhooks[Any] | None] = None
    """What the service tells by itself, None where it tells nothing."""

    @abstractmethod
    def check_credentials(self, credentials: Mapping[str, str]) -> None:
        """Raise ``ConfigurationError``, naming the key, where no complete way to authenticate is given."""

    @abstractmethod
    def options(self, account: Account) -> O:
        """Parse the options, with what the credentials allow. Raises ``ConfigurationError`` naming the option."""

    @abstractmethod
    def client(self, account: Account, *, limiter: RateLimiter, tokens: TokenSource | None = None) -> C:
        """A client for this account; thread-safe."""

    @abstractmethod
    def rate_slots(self, account: Account) -> tuple[int, float] | None:
        """``(requests, seconds)`` of the documented rolling window, or None where none is documented."""

    def rate_credentials(self, account: Account) -> Mapping[str, str]:
        """What of the credentials the service counts requests by. A token that is refreshed is not: its successor
        would begin with a window of its own."""
        return account.credentials

    def identify(self, client: C) -> Identity | None:
        """Which account the credential opens, by one call that changes nothing; None where no such call is documented.

        Raises ``ServiceError`` and ``MalformedAnswerError``.
        """
        return None

    def oauth_client(
        self,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        authorize_url: str,
        extra: Mapping[str, str],
        deadline: float,
        connect_timeout: float,
    ) -> OAuthClient:
        """The token endpoint, for the site's app. Raises ``UnsupportedError`` where ``oauth`` is None."""
        if self.oauth is None:
            raise UnsupportedError(f"{self.label} has no OAuth: connect it with its key")
        return OAuthClient(
            self.name,
            self.oauth,
            base_url=base_url,
            client_id=client_id,
            client_secret=client_secret,
            authorize_url=authorize_url,
            extra=extra,
            deadline=deadline,
            connect_timeout=connect_timeout,
        )

    @abstractmethod
    def snapshot(self, profile: Profile, *, user_id: str, options: O) -> Snapshot:
        """The profile in this service's normal form. Raises ``ProfileError`` for a value it cannot take."""

    @abstractmethod
    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: O) -> Plan:
        """The fewest next calls for these people (a pure function)."""

    @abstractmethod
    def execute(self, call: Call, client: C) -> Answer:
        """Make one call: one HTTP request. Raises ``ServiceError`` where it fails as a whole."""

    def streams(self, options: O) -> tuple[StreamSpec, ...]:
        """What can be read with these options, parents before what is read for each of them."""
        return ()

    def read(self, stream: str, cursor: str | None, client: C, since: datetime | None = None) -> Page:
        """One page of a stream (``contacts``, ``taggings:<tag id>``), in all states.

        With ``since`` (aware), of a stream that is read ``by_date``: at least what has changed since then. Raises
        ``ServiceError``, ``MalformedAnswerError``, and ``UnsupportedError`` for a stream that it does not have.
        """
        raise UnsupportedError(f"{self.label} has no list of {stream}")

    def introduction(self, options: O) -> tuple[str, ...]:
        """The streams to be read before the first write; none where nothing can be listed."""
        return ("tags", "custom_fields", "contacts") if self.introduces else ()

    def look_up(self, contact: ContactRecord, client: C, options: O) -> ContactRecord | None:
        """One contact anew, under the id that it is known by; None where it is not there any more.

        Raises ``UnsupportedError`` where a contact cannot be read, or these
        credentials may not; ``ServiceError``, ``MalformedAnswerError``.
        """
        raise UnsupportedError(f"{self.label} has no way to read a contact")

    def reads_one_by_one(self, options: O) -> bool:
        """Whether ``look_up`` is the only way to learn how contacts are: the schedule then asks for each of them."""
        return False

    def verify(self, client: C, options: O) -> str:
        """Ask the service, by calls that change nothing, whether it lets us in; what it said, in words for people.

        Raises ``ServiceError`` where it does not, ``UnsupportedError`` where no such call is known.
        """
        account = self.identify(client)
        if account is None:
            raise UnsupportedError(f"{self.label} has no call that changes nothing")
        return f"the credentials open the account {account.label or account.remote_id}"

    def custom_field(self, name: str) -> str | None:
        """The key of the custom field that ``Snapshot.values[name]`` is kept in, where the account's custom fields can
        be listed (the stream ``custom_fields``); None for what the service has of its own."""
        return None

    def normal_tag(self, name: str) -> str:
        """The form in which this service compares tag names."""
        return name.strip()

    def plan_event(self, person: Person, event: Event, options: O) -> Call:
        """The call that tells of an event. Raises ``UnsupportedError``."""
        raise UnsupportedError(f"{self.label} does not take events")

    def can(self, verb: Verb, account: Account) -> bool:
        """Whether it can do this for an account with such credentials."""
        return verb in self.verbs

    def plan_occurrence(
        self, person: Person, occurrence: Occurrence, catalogue: Catalogue, options: O, progress: Progress
    ) -> Call | Verdict | None:
        """The next call for something that happens once (a pure function); None where there is nothing to tell.

        A call that must not be made twice is not ``repeatable``: the engine notes that it was tried before it is made,
        and tells so the next time (``Progress.in_doubt``). Raises ``UnsupportedError``.
        """
        raise UnsupportedError(f"{self.label} does not take this")

    def answers_later(self, options: O) -> bool:
        """Whether ``plan`` makes calls for ``patient`` people that are answered by a callback."""
        return False

    def is_callback_of(self, call: Call, body: JSON) -> bool:
        """Whether ``body`` answers this ``later`` call. Nobody is in two of them at a time."""
        return False

    def answered_later(self, call: Call, body: JSON) -> Answer:
        """What a callback tells of each person of ``call``. Raises ``MalformedAnswerError``."""
        raise UnsupportedError(f"{self.label} answers at once")

    def read_broadcast(self, remote_id: str, client: C) -> BroadcastDraft:
        """A broadcast as the service has it now. Raises ``UnsupportedError``, ``ServiceError``."""
        raise UnsupportedError(f"{self.label} takes no broadcasts")

    def write_broadcast(self, remote_id: str, draft: BroadcastDraft, client: C) -> BroadcastRecord:
        """Make a broadcast (without ``remote_id``) or replace the whole of one. Raises as ``read_broadcast``."""
        raise UnsupportedError(f"{self.label} takes no broadcasts")

    def delete_broadcast(self, remote_id: str, client: C) -> None:
        """Delete a broadcast. Raises as ``read_broadcast``."""
        raise UnsupportedError(f"{self.label} takes no broadcasts")

    def rides(self, person: Person, options: O) -> bool:
        """Whether the call of ``plan_event`` tells all that is to be told of this person, so that it saves one.

        The call then carries the patch, and its answer the record, of what it tells.
        """
        return False

    def capabilities(self) -> tuple[Capability, ...]:
        """What it can and cannot do, for the doctor and the docs."""
        return tuple(Capability(name=verb, supported=verb in self.verbs) for verb in Verb)
