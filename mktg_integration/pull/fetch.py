"""Fetches a stream's pages in a thread of their own, one at a time, and makes them into rows: no SQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import connections
from django.utils import timezone

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.mirror.rows import Made
from mktg_integration.providers.base import Page, Provider
from mktg_integration.pull.pace import Pace
from mktg_integration.pull.reading import Ask, Reading

logger = logging.getLogger("mktg_integration.pull")

TRIES = 5
"""Of one page, while the service does not answer."""
FIRST_PAUSE_SECONDS = 0.5
WAIT_SECONDS = 10.0
"""Where the service says that we are too fast, and not until when."""
LONGEST_WAIT_SECONDS = 120.0
SLOW_SECONDS = 0.1
"""For a page; to write one takes about half as long."""


class Paused(Exception):  # noqa: N818 (not an error: it ends a pull in order)
    """The pull goes on later, after ``seconds``; empty ``detail``: only its time was up."""

    def __init__(self, detail: str = "", seconds: float = 0.0) -> None:
        self.detail = detail
        self.seconds = seconds
        super().__init__(detail)


Make = Callable[[Page, datetime], Made]
"""What makes rows of a page that was asked for at a time. Raises ``MalformedAnswerError``."""


class Renewable(Protocol):
    """Tokens that may be replaced by newer ones, by the thread that reads the database."""

    def renew(self) -> bool:
        """Whether there is another token now. Raises ``ServiceError``, ``ConfigurationError``, ``CopyError``."""


@dataclass(frozen=True)
class Fetched:
    """A page, and its rows: made where it was fetched, while the database writes the page before. Of a service that is
    slower than that they are not made yet (None), because the next page should be asked for first."""

    ask: Ask
    page: Page
    asked_at: datetime
    made: Made | None


class Fetcher:
    """Of one connection. ``may_go_on`` says whether budget and lease let another call begin; ``patient``: a person
    watches, so waits are waited for here. ``tokens``: renewed where the service refuses the one in use, after which the
    same page is asked for again."""

    def __init__(
        self,
        driver: Provider[Any, Any],
        client: Any,
        pace: Pace,
        *,
        may_go_on: Callable[[], bool],
        patient: bool,
        tokens: Renewable | None = None,
    ) -> None:
        self._driver = driver
        self._client = client
        self._pace = pace
        self._may_go_on = may_go_on
        self._patient = patient
        self._tokens = tokens
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"mktg-pull-{driver.name}")

    def close(self) -> None:
        # Django asks MariaDB for its version once in each thread, when a statement is put together.
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=True)
        self._pace.close()

    def start(self, reading: Reading, ask: Ask, make: Make) -> Fetching | None:
        """Begin with a page, if it can be begun at once; None otherwise. ``make`` is called in the thread, too."""
        if not self._may_go_on() or not self._pace.ready(reading.stream.spec.requests):
            return None
        return Fetching(ask, self._thread.submit(self._fetch, reading, ask, make))

    def result(self, reading: Reading, ask: Ask, make: Make, begun: Fetching | None) -> Fetched:
        """The page, begun before or not. Raises ``Paused`` where it cannot be had now, ``ServiceError`` where the
        service refuses it or does not answer, ``MalformedAnswerError``."""
        tries = 0
        while True:
            fetching = begun or self._start_when_ready(reading, ask, make)
            begun = None
            try:
                return fetching.future.result()
            except ServiceError as error:
                tries += 1
                if not self._is_renewed(error):
                    self._wait_out(error, tries)

    def _start_when_ready(self, reading: Reading, ask: Ask, make: Make) -> Fetching:
        while True:
            fetching = self.start(reading, ask, make)
            if fetching is not None:
                return fetching
            if not self._may_go_on():
                raise Paused
            seconds = self._pace.seconds_to_next()
            time.sleep(min(seconds, 1.0))

    def _is_renewed(self, error: ServiceError) -> bool:
        """Whether the page may be asked for again with another token than the one that was refused."""
        return error.status == 401 and self._tokens is not None and self._tokens.renew()

    def _wait_out(self, error: ServiceError, tries: int) -> None:
        if error.action is Action.WAIT:
            seconds = min(error.retry_after or WAIT_SECONDS, LONGEST_WAIT_SECONDS)
            if not self._patient:
                raise Paused(str(error), error.retry_after or WAIT_SECONDS) from error
        elif error.action is Action.RETRY and tries < TRIES:
            seconds = FIRST_PAUSE_SECONDS * 2 ** (tries - 1)
        else:
            raise error
        if tries > TRIES * 4:
            raise error
        logger.info("%s; asked again in %.1f s", error, seconds)
        self._sleep(seconds)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not self._may_go_on():
                raise Paused
            time.sleep(min(left, 1.0))

    def _fetch(self, reading: Reading, ask: Ask, make: Make) -> Fetched:
        asked_at, begun = timezone.now(), time.monotonic()
        stream = ask.stream(reading.stream.name)
        page = self._driver.read(stream, ask.cursor, self._client, reading.since)
        is_slow = time.monotonic() - begun > SLOW_SECONDS
        return Fetched(ask, page, asked_at, None if is_slow else make(page, asked_at))


@dataclass(frozen=True)
class Fetching:
    """A page on its way."""

    ask: Ask
    future: Future[Fetched]
