"""The contract: what a provider says of itself and does. The values that it is given and gives back are of ``plans``.

A provider knows no ORM and no Django settings. It turns people into a plan of calls (pure), a call into one HTTP
request, and an answer into records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import Profile
from mktg_integration.providers.broadcasts import BroadcastDraft
from mktg_integration.providers.oauth import OAuthClient, OAuthEndpoints
from mktg_integration.providers.occurrences import Occurrence, Progress
from mktg_integration.providers.plans import (
    JSON,
    Answer,
    Call,
    Catalogue,
    Event,
    Intent,
    Outcome,
    Patch,
    Person,
    Plan,
    Result,
    Snapshot,
    Verdict,
    VerdictKind,
    normal_name,
)
from mktg_integration.providers.webhooks import Webhooks
from mktg_integration.records import BroadcastRecord, ContactRecord, Record

__all__ = [
    "JSON",
    "Account",
    "Answer",
    "Call",
    "Capability",
    "Catalogue",
    "Event",
    "Identity",
    "Intent",
    "Outcome",
    "Page",
    "Patch",
    "Person",
    "Plan",
    "Provider",
    "Result",
    "Snapshot",
    "StreamSpec",
    "Verb",
    "Verdict",
    "VerdictKind",
    "normal_name",
]


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


# What can be read


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


# The contract


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

    def plan_event(self, person: Person, event: Event, options: O) -> Call | Verdict:
        """The call that tells of an event, or why none may. Raises ``UnsupportedError``."""
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
