"""What became of a batch of people: who is done, rejected, tried later or kept, and what was told for the mirror."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mktg_integration.exceptions import ServiceError
from mktg_integration.http import LastAnswer
from mktg_integration.providers.base import Person, Verdict
from mktg_integration.push.waiting import Stop
from mktg_integration.records import CompanyRecord, ContactRecord, CustomFieldRecord, Record, TagRecord


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What is known of an attempt. ``call`` is method and template of the endpoint, empty where none was made."""

    call: str = ""
    status: int | None = None
    request_id: str = ""
    code: str = ""
    reason: str = ""

    @classmethod
    def of(cls, error: ServiceError) -> Failure:
        return cls(
            call=error.endpoint,
            status=error.status,
            request_id=error.request_id,
            code=error.code,
            reason="; ".join(error.messages) or ("" if error.answered else "no answer came"),
        )

    @classmethod
    def after(cls, last: LastAnswer | None, *, code: str = "", reason: str = "") -> Failure:
        """Of an answer that tells of this one person; ``last`` is what the call was answered, as far as it is known."""
        if last is None:
            return cls(code=code, reason=reason)
        return cls(call=last.endpoint, status=last.status, request_id=last.request_id, code=code, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a row is dead."""

    verdict: Verdict
    call: str = ""
    status: int | None = None
    request_id: str = ""

    def as_failure(self) -> Failure:
        verdict = self.verdict
        return Failure(
            call=self.call,
            status=self.status,
            request_id=self.request_id,
            code=verdict.code,
            reason=verdict.reason,
        )


@dataclass
class Delivered:
    """What became of a batch. Who is in none of ``rejected``, ``failed`` and ``kept`` is done."""

    people: dict[str, Person] = field(default_factory=dict)
    """As the service knows them now; also of those that are not done."""
    rejected: dict[str, Rejection] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    """To be tried later, counted on the row."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Why, of those that failed, as far as it is known."""
    answers: dict[str, LastAnswer] = field(default_factory=dict)
    """What the last call of each person was answered."""
    kept: set[str] = field(default_factory=set)
    """Not tried, or not their fault: given back uncounted."""
    in_doubt: set[str] = field(default_factory=set)
    """Whose call must not be made twice, and whose answer was lost: it may have been carried out."""
    absent: set[str] = field(default_factory=set)
    """Whose contact the service was found not to have."""
    notes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, TagRecord] = field(default_factory=dict)
    fields: dict[str, CustomFieldRecord] = field(default_factory=dict)
    companies: dict[str, CompanyRecord] = field(default_factory=dict)
    """By the site's own id."""
    records: dict[str, ContactRecord] = field(default_factory=dict)
    """The contacts that were told of, by remote id."""
    untagged: set[tuple[str, str]] = field(default_factory=set)
    """``(contact remote id, normal tag name)`` that were taken away."""
    others: list[Record] = field(default_factory=list)
    """What else was told for the mirror."""
    pending: set[str] = field(default_factory=set)
    """Whose part the service carries out later, and tells by a callback."""
    too_large: set[str] = field(default_factory=set)
    """The jobs whose request was larger than the service takes (413)."""
    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of occurrences that were not finished by their last call: what their next plan is told."""
    tagged: set[tuple[str, str]] = field(default_factory=set)
    unsubscribed: set[str] = field(default_factory=set)
    """Remote ids of the contacts that we unsubscribed, which is no word of theirs."""
    adopted: set[str] = field(default_factory=set)
    """Who was found at the service just as wanted."""
    gone: set[str] = field(default_factory=set)
    """Remote ids of contacts that turned out not to be there any more."""
    moved: dict[str, str] = field(default_factory=dict)
    """The remote id that a person's contact had before it was linked to another one."""
    account_tags: tuple[TagRecord, ...] = ()
    """All tags that the account is known to have."""
    named_tags: dict[str, TagRecord] = field(default_factory=dict)
    """Tags that only their use has made known."""
    calls: int = 0
    items: int = 0
    stop: Stop | None = None

    def is_done(self, key: str) -> bool:
        """Whether nothing is left to be told of this person."""
        return not (key in self.rejected or key in self.failed or key in self.kept or key in self.pending)
