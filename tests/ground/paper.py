"""A provider on paper: takes one person a call, writes it down, and fails as it is told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mktg_integration.exceptions import Action, ConfigurationError, ServiceError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import Profile
from mktg_integration.providers.base import (
    Account,
    Answer,
    Call,
    Catalogue,
    Patch,
    Person,
    Plan,
    Provider,
    Result,
    Snapshot,
    Verb,
)
from mktg_integration.records import ContactRecord

RESERVED_KEYS = frozenset({"email", "plan"})


@dataclass
class Book:
    """What was written down, and what goes wrong: by address, or for everybody."""

    addresses: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    fails: Action | None = None
    rate: tuple[int, float] | None = None


book = Book()


@dataclass(frozen=True)
class PaperClient:
    limiter: RateLimiter

    def write(self, email: str) -> None:
        slot = self.limiter.acquire()
        try:
            if book.fails is not None:
                raise ServiceError(service="paper", endpoint="POST /page", action=book.fails, status=500)
            if email in book.refused:
                raise ServiceError(
                    service="paper", endpoint="POST /page", action=Action.REJECT, status=422, code="no_ink"
                )
            book.addresses.append(email)
        finally:
            self.limiter.release(slot)


class PaperProvider(Provider[PaperClient, Mapping[str, Any]]):
    name: ClassVar[str] = "paper"
    label: ClassVar[str] = "Paper"
    default_base_url: ClassVar[str] = "https://paper.test"
    credential_names: ClassVar[tuple[str, ...]] = ("PENCIL",)
    option_names: ClassVar[tuple[str, ...]] = ("LINES",)
    verbs: ClassVar[frozenset[Verb]] = frozenset({Verb.SYNC})

    def check_credentials(self, credentials: Mapping[str, str]) -> None:
        if "PENCIL" not in credentials:
            raise ConfigurationError('set "PENCIL" to the pencil of the account')

    def options(self, account: Account) -> Mapping[str, Any]:
        if not isinstance(account.options.get("LINES", 1), int):
            raise ConfigurationError("LINES must be a whole number")
        return account.options

    def client(self, account: Account, *, limiter: RateLimiter, tokens: TokenSource | None = None) -> PaperClient:
        return PaperClient(limiter)

    def rate_slots(self, account: Account) -> tuple[int, float] | None:
        return book.rate

    def snapshot(self, profile: Profile, *, user_id: str, options: Mapping[str, Any]) -> Snapshot:
        return Snapshot(email=profile.email, consent=profile.consent.status, evidence=profile.consent.evidence)

    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: Mapping[str, Any]) -> Plan:
        return Plan(
            calls=tuple(
                Call(
                    operation="write",
                    items={person.key: person.wanted.email},
                    patches={person.key: Patch(email=person.wanted.email)},
                )
                for person in people
                if person.wanted is not None and (person.sent is None or person.sent.email != person.wanted.email)
            )
        )

    def execute(self, call: Call, client: PaperClient) -> Answer:
        ((key, email),) = call.items.items()
        client.write(email)
        return Answer(results={key: Result(record=ContactRecord(remote_id=email, email=email))})
