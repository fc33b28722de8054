"""Faults on demand: rules that say which requests go wrong, when, and how.

A rule, as JSON or as keywords of ``Faults.add``, for instance a lost answer on every tenth Kit bulk call, twice::

    {"service": "kit", "path": "^/v4/bulk/", "skip": 9, "times": 2, "effect": "drop", "after_work": true}
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from .errors import FaultError
from .routing import template_pattern
from .values import place
from .wire import Request, Response


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _operation(text: str) -> str:
    if not re.fullmatch(r"[A-Z]+ /\S*", text):
        raise ValueError('must be a method and a path template, such as "POST /v4/tags"')
    return text


class Rule(BaseModel):
    """Which requests (all of the given conditions hold), which of those, and what happens to them."""

    model_config = ConfigDict(extra="forbid")

    service: Literal["kit", "conversion", "convertloop"] | None = None
    """None: any of them."""
    operation: Annotated[str, AfterValidator(_operation)] | None = None
    """Method and path template, the path relative to the service: ``POST /v4/tags/{tag_id}/subscribers/{id}``."""
    method: str | None = None
    path: Annotated[str, AfterValidator(_regex)] | None = None
    """A regular expression searched for in the path, which is relative to the service's prefix."""

    skip: int = Field(default=0, ge=0)
    """Let so many matching requests pass first."""
    nth: int | None = Field(default=None, ge=1)
    """Only the n-th matching request; short for ``skip: n - 1, times: 1``."""
    times: int | None = Field(default=None, ge=1)
    """Strike so often, then no more."""
    share: float | None = Field(default=None, gt=0, le=1)
    """Strike this share of the matching requests, drawn with ``seed``."""
    seed: int = 0
    for_seconds: float | None = Field(default=None, gt=0)
    """Strike no more when so many seconds have passed since the rule was added."""

    effect: Literal["status", "text", "html", "malformed_json", "slow", "drop", "truncate"]
    """``status``: an error in the service's own form. ``text``, ``html``: the same status with such a body.
    ``malformed_json``: the real answer's status over broken JSON. ``slow``: the real answer, late. ``drop``: the
    connection is closed without an answer. ``truncate``: closed in the middle of the real answer."""
    status: int = Field(default=503, ge=400, le=599)
    retry_after: int | str | None = None
    """The header of a ``status``, ``text`` or ``html`` answer: seconds or an HTTP date."""
    body: str | None = None
    """The text of a ``text`` or ``html`` answer."""
    after_work: bool = False
    """Let the service do its work first (a lost answer); else it never sees the request."""
    seconds: float = Field(default=0, ge=0)
    """How late ``slow`` answers."""
    up_to: float | None = Field(default=None, gt=0)
    """How late ``slow`` answers at most, uniformly drawn with ``seed``; in place of ``seconds``."""

    _added: float = PrivateAttr(default=0)
    _random: random.Random = PrivateAttr()
    _pattern: re.Pattern[str] | None = PrivateAttr(default=None)
    _hits: int = PrivateAttr(default=0)
    _struck: int = PrivateAttr(default=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Rule:
        if self.nth is not None and (self.skip or self.times is not None):
            raise ValueError("nth stands for skip and times; give either")
        if self.effect == "slow" and not (self.seconds or self.up_to):
            raise ValueError("slow needs seconds or up_to")
        return self

    def model_post_init(self, context: Any) -> None:
        self._added = time.monotonic()
        self._random = random.Random(self.seed)
        if self.operation:
            self._pattern = template_pattern(self.operation.partition(" ")[2])

    @property
    def garbles(self) -> bool:
        """Whether it needs the real answer to spoil it."""
        return self.effect in ("malformed_json", "truncate")

    def strikes(self, service: str, request: Request) -> bool:
        """Whether this request is one; counts it."""
        if not self._matches(service, request):
            return False
        self._hits += 1
        skip, times = (self.nth - 1, 1) if self.nth else (self.skip, self.times)
        if self._hits <= skip or (times is not None and self._struck >= times):
            return False
        if self.share is not None and self._random.random() >= self.share:
            return False
        self._struck += 1
        return True

    def delay(self) -> float:
        return self._random.uniform(0, self.up_to) if self.up_to else self.seconds

    def counts(self) -> dict[str, int]:
        return {"hits": self._hits, "struck": self._struck}

    def _matches(self, service: str, request: Request) -> bool:
        if self.for_seconds is not None and time.monotonic() - self._added > self.for_seconds:
            return False
        return (
            self.service in (None, service)
            and (self.method is None or self.method.upper() == request.method)
            and (self.path is None or re.search(self.path, request.path) is not None)
            and (
                self.operation is None
                or self._pattern is None
                or (
                    self.operation.partition(" ")[0] == request.method
                    and self._pattern.fullmatch(request.path) is not None
                )
            )
        )


@dataclass(frozen=True)
class Fate:
    """What the rules have in store for one request."""

    delay_before: float = 0
    delay_after: float = 0
    rule_id: int | None = None
    rule: Rule | None = None
    """The one rule that decides the answer; None: the service's own."""


_NO_FATE = Fate()


class Faults:
    """The rules in force. Delays of all that strike add up; of the others the first to strike decides."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rules: dict[int, Rule] = {}
        self._last_id = 0

    def add(self, **rule: Any) -> int:
        """Put a rule in force and answer its id; raises FaultError naming the key that makes no sense."""
        try:
            parsed = Rule.model_validate(rule)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            lines = (f"{place(p['loc']) or 'rule'}: {p['msg']}" for p in problems)
            raise FaultError("; ".join(lines)) from error
        with self._lock:
            self._last_id += 1
            self._rules[self._last_id] = parsed
            return self._last_id

    def remove(self, rule_id: int) -> bool:
        with self._lock:
            return self._rules.pop(rule_id, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def list(self) -> list[dict[str, Any]]:
        """Each rule as it was given, with its ``id``, ``hits`` (requests matched) and ``struck``."""
        with self._lock:
            rules = self._rules.items()
            return [{"id": i, **r.model_dump(exclude_unset=True), **r.counts()} for i, r in rules]

    def decide(self, service: str, request: Request) -> Fate:
        if not self._rules:
            return _NO_FATE
        before = after = 0.0
        rule_id: int | None = None
        decisive: Rule | None = None
        with self._lock:
            for number, rule in self._rules.items():
                slow = rule.effect == "slow"
                if (decisive is not None and not slow) or not rule.strikes(service, request):
                    continue
                if not slow:
                    rule_id, decisive = number, rule
                elif rule.after_work:
                    after += rule.delay()
                else:
                    before += rule.delay()
        return Fate(before, after, rule_id, decisive)


def faulty_answer(rule: Rule, own_form: Response) -> Response:
    """The answer of a ``status``, ``text`` or ``html`` rule; ``own_form`` is that status in the service's form."""
    headers: Mapping[str, str] = {}
    if rule.retry_after is not None:
        headers = {"Retry-After": str(rule.retry_after)}
    if rule.effect == "text":
        body = rule.body if rule.body is not None else "Retry later" if rule.status == 429 else "Error"
        return Response(rule.status, body.encode(), "text/plain", headers)
    if rule.effect == "html":
        page = f"<!doctype html><html><body><h1>{rule.status}</h1></body></html>"
        return Response(rule.status, (rule.body or page).encode(), "text/html; charset=utf-8", headers)
    return Response(own_form.status, own_form.body, own_form.content_type, {**own_form.headers, **headers})


def malformed(answer: Response) -> Response:
    """An answer whose body claims to be JSON and is not."""
    return Response(answer.status, b'{"data": [{"id": 1,', answer.content_type, answer.headers)
