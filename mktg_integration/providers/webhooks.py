"""The contract for what a service tells by itself: webhooks, signed or not, and callbacks of bulk requests.

As with ``base``, plain values only: a provider reads bodies into notices and makes calls; the inbound engine keeps
what came, decides what to believe, and writes the mirror.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.records import ContactRecord, ContactStatus, Record

JSON = Any
C = TypeVar("C")


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedWebhook:
    """One event to be told of, with its parameter (a tag's id, a link's address), empty where it takes none."""

    event: str
    parameter: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteWebhook:
    """A webhook that the account has. ``secret`` is told once, when a signed one is made."""

    remote_id: str
    url: str
    signed: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One thing that happened at the service, as a delivery tells it.

    ``contact`` is the contact's remote id, ``record`` the contact as told, ``at`` when it happened (None: not told).
    ``opt_out`` is set where the event itself means that the contact may be mailed no more. ``tag`` is the remote id of
    the tag that was added (``has_tag``) or taken away, ``tag_name`` its name if told; ``reads_tags`` says that tags
    changed, whichever. ``purchase`` is the remote id of a purchase that was made.
    """

    contact: str = ""
    record: ContactRecord | None = None
    at: datetime | None = None
    opt_out: ContactStatus | None = None
    tag: str = ""
    tag_name: str = ""
    has_tag: bool = True
    reads_tags: bool = False
    purchase: str = ""


class Webhooks(ABC, Generic[C]):
    """What one service tells, and how it is asked to. ``C`` is the provider's client; one instance serves all."""

    events: ClassVar[Mapping[str, str]] = {}
    """The events of the unsigned kind, each with the name of the parameter that it requires, empty without one."""
    signed_events: ClassVar[tuple[str, ...]] = ()
    """The events of the signed kind; empty where there is none."""

    def default_events(self, client: C) -> tuple[str, ...]:
        """The events without parameter that this credential can make use of."""
        return tuple(event for event, parameter in self.events.items() if not parameter)

    # At the service. All raise ServiceError and MalformedAnswerError.

    @abstractmethod
    def registered(self, client: C, *, signed: bool = False) -> list[RemoteWebhook]:
        """All webhooks of the account, of the one kind or the other."""

    @abstractmethod
    def create(self, client: C, wanted: WantedWebhook, url: str) -> RemoteWebhook:
        """Have ``url`` told of one event."""

    def create_signed(self, client: C, url: str, events: Sequence[str]) -> RemoteWebhook:
        """Have ``url`` told of these events, signed. Raises ``UnsupportedError`` where there is no such kind."""
        raise UnsupportedError("this service does not sign what it tells")

    @abstractmethod
    def delete(self, client: C, webhook: RemoteWebhook) -> None:
        """Remove one; one that is gone already is no error."""

    def parameters(self, client: C, name: str) -> Sequence[str]:
        """All values that a parameter can take in this account. Raises ``UnsupportedError`` where they have no list."""
        raise UnsupportedError(f"the values of {name} cannot be listed: give them one by one")

    @abstractmethod
    def contact(self, client: C, remote_id: str) -> ContactRecord | None:
        """The contact as it is now; None where it is not there."""

    def tags(self, client: C, remote_id: str) -> Sequence[Record]:
        """The contact's tags as they are now: ``TagRecord`` and ``TaggingRecord``."""
        raise UnsupportedError("this service has no tags")

    def purchase(self, client: C, remote_id: str) -> Sequence[Record]:
        """A purchase and its lines."""
        raise UnsupportedError("this service has no purchases")

    # Deliveries. Pure.

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        """By which a repeated delivery is known; empty where the service tells none."""
        return ""

    def is_genuine(
        self, headers: Mapping[str, str], body: bytes, secrets: Collection[str], *, now: float, tolerance: float
    ) -> bool:
        """Whether raw ``body`` was signed with one of ``secrets`` within ``tolerance`` seconds of Unix time ``now``."""
        return False

    @abstractmethod
    def read(self, event: str, parameter: str, body: JSON, *, signed: bool) -> list[Notice]:
        """What a delivery tells. Raises ``MalformedAnswerError`` where it cannot be understood: no value is named."""

    def read_callback(self, body: JSON) -> list[Notice]:
        """What the callback of a bulk request tells. Raises ``MalformedAnswerError``."""
        raise UnsupportedError("this service calls nobody back")
