"""A service at the transport: what a provider's test gives the contract suite to talk to, and how it is reached."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
import responses

from mktg_integration.records import ContactRecord, ContactStatus

JSON = Any

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Canned:
    """One HTTP answer: ``json`` if it is given, else ``body``."""

    status: int = 200
    json: JSON = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_response(self) -> tuple[int, dict[str, str], str]:
        is_json = self.json is not None
        kind = {"Content-Type": "application/json" if is_json else "text/plain"}
        return self.status, {**kind, **self.headers}, json.dumps(self.json) if is_json else self.body


class StandIn(Protocol):
    """The service in memory, as far as its document says how it behaves."""

    def answer(self, request: requests.PreparedRequest) -> Canned:
        """What it answers when nothing is wrong with it."""

    def hold(self, email: str, status: ContactStatus) -> ContactRecord:
        """Let it have a contact; the contact as a mirror would know it (``UNREAD`` where no list or answer tells)."""

    def lose(self, email: str) -> None:
        """Let somebody delete the contact there."""

    def addresses(self) -> Collection[str]:
        """Of all its contacts."""

    def mailable(self) -> Collection[str]:
        """Of the contacts that it would send a newsletter to."""


Answer = Callable[[requests.PreparedRequest], Canned]


@dataclass
class Wire:
    """Every request that was made, and what answers them."""

    answer: Answer
    made: list[requests.PreparedRequest] = field(default_factory=list)
    is_cut: bool = False
    """Answers are lost on their way back, after the work was done."""

    def handle(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        self.made.append(request)
        answered = self.answer(request).as_response()
        if self.is_cut:
            raise requests.exceptions.ReadTimeout("the answer was lost")
        return answered


def always(canned: Canned) -> Answer:
    """Answers everything so."""
    return lambda request: canned


@contextmanager
def wired(answer: Answer) -> Iterator[Wire]:
    """While this lasts, each request by ``requests`` is answered by ``answer``, whatever its address."""
    wire = Wire(answer)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in METHODS:
            mock.add_callback(method, re.compile(r".*"), callback=wire.handle)
        yield wire
