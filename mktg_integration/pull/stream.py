"""One stream: its pages one after the other, the next one fetched while this one is written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import DataError, connections, router, transaction

from mktg_integration import sql
from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError
from mktg_integration.mirror import news, upsert, writer
from mktg_integration.mirror.rows import Context, Made, make_rows
from mktg_integration.models import Contact, PullCheckpoint
from mktg_integration.providers.base import Page, StreamSpec
from mktg_integration.pull.breath import Breath
from mktg_integration.pull.checks import check_page
from mktg_integration.pull.fetch import Fetched, Fetcher, Fetching
from mktg_integration.pull.linking import Linking
from mktg_integration.pull.progress import StreamCounts
from mktg_integration.pull.reading import Ask, Reading
from mktg_integration.pull.sweep import sweep


@dataclass(frozen=True)
class Tools:
    """What all streams of a pull use."""

    fetcher: Fetcher
    breath: Breath
    using: str

    @classmethod
    def of(cls, fetcher: Fetcher) -> Tools:
        using = router.db_for_write(Contact)
        is_sqlite = connections[using].vendor == "sqlite"
        return cls(fetcher, Breath(limited=is_sqlite, rows=upsert.PAGE), using)


class ParentVanishedError(MalformedAnswerError):
    """What a list is read for went between its own list and this one. Its stream has to be read again."""

    def __init__(self, message: str, parent: str) -> None:
        self.parent = parent
        super().__init__(message)


class StreamPull:
    """Reads one stream to its end, or raises what kept it from that; what was written before stays."""

    def __init__(
        self, reading: Reading, tools: Tools, counts: StreamCounts, linking: Linking, moved: Callable[[], None]
    ) -> None:
        self.reading = reading
        self.stream = reading.stream
        self.tools = tools
        self.counts = counts
        self.linking = linking
        self._moved = moved
        self._parents: Iterator[str] = iter(())
        self._cursors: set[str] = set()

    def read(self) -> None:
        """Raises ``Paused``, ``ServiceError``, ``MalformedAnswerError``, ``DatabaseError``."""
        fetcher = self.tools.fetcher
        ask = self._first()
        begun = fetcher.start(self.reading, ask, self._make) if ask is not None else None
        while ask is not None:
            fetched = self._result(ask, begun)
            following = self._following(ask, fetched)
            ahead = following is not None and not self._may_end_here(ask)
            begun = fetcher.start(self.reading, following, self._make) if ahead and following is not None else None
            news = self._write(fetched)
            self._moved()
            if following is not None and not news and self._may_end_here(ask):
                return
            ask = following

    def end(self, *, confirmed: bool) -> None:
        """All pages are written: mark what is gone, link people. Raises ``TooManyMissing``, ``DatabaseError``."""
        if self.reading.full:
            self.reading.enter_sweep()
            self.counts.removed += sweep(self.reading, self.tools.breath, confirmed=confirmed)
        else:
            self.reading.finish(confirmed=False)
        if self.stream.model is Contact:
            self.linking.link(everybody=self.reading.full)

    # Which page follows

    def _first(self) -> Ask | None:
        last = self.reading.last
        after = last.parent if last is not None else ""
        if self.stream.parent is not None:
            self._parents = self.stream.parents(after=after, settled=self.reading.full)
        if last is None:
            return self._of_next_parent() if self.stream.parent is not None else Ask()
        if last.cursor and self._is_there(last.parent):
            self._cursors = self.reading.cursors(last.parent)
            return Ask(last.parent, last.cursor)
        return self._of_next_parent()

    def _of_next_parent(self) -> Ask | None:
        self._cursors = set()
        parent = next(self._parents, None)
        return None if parent is None else Ask(parent)

    def _is_there(self, parent: str) -> bool:
        if self.stream.parent is None:
            return True
        following = self.stream.parents(after="", settled=True)
        return parent in itertools.takewhile(lambda remote_id: remote_id <= parent, following)

    def _following(self, ask: Ask, fetched: Fetched) -> Ask | None:
        cursor = fetched.page.cursor
        if cursor is None:
            return self._of_next_parent()
        if cursor in self._cursors or cursor == ask.cursor:
            self.reading.drop()
            raise MalformedAnswerError(f"{self._service}: {self.stream.name}: a cursor came for the second time")
        self._cursors.add(cursor)
        return Ask(ask.parent, cursor)

    def _may_end_here(self, ask: Ask) -> bool:
        """Whether a page without news would be the last one worth reading."""
        return self.stream.spec.newest_first and not self.reading.full

    # One page

    @property
    def _service(self) -> str:
        return self.stream.connection.provider

    def _result(self, ask: Ask, begun: Fetching | None) -> Fetched:
        try:
            return self.tools.fetcher.result(self.reading, ask, self._make, begun)
        except ServiceError as error:
            if error.status == 404 and ask.parent and self.stream.parent is not None:
                raise self._parent_vanished(self.stream.parent, ask) from None
            if error.action is Action.REJECT and ask.cursor:
                # A cursor that the service no longer knows: only from the beginning does the next pull get on.
                self.reading.drop()
            raise

    def _parent_vanished(self, parent: StreamSpec, ask: Ask) -> ParentVanishedError:
        PullCheckpoint.objects.filter(connection=self.stream.connection, stream=parent.name).update(finished_at=None)
        return ParentVanishedError(
            f"{self._service}: {self.stream.name}: one of the {parent.name} (id {ask.parent}) vanished while it was "
            "read; the next pull reads them again",
            parent.name,
        )

    def _make(self, page: Page, asked_at: datetime) -> Made:
        """The rows of a page that may be written; in any thread."""
        check_page(self._service, self.stream.spec, page)
        source: news.Source = "" if self.reading.is_first else "pull"
        context = Context(self.stream.connection, self.reading.as_of(asked_at), False, {}, source)
        made = make_rows(context, page.records)
        if not self.reading.is_first:
            return made
        return writer.encode(made, size=self.tools.breath.rows, using=self.tools.using)

    def _write(self, fetched: Fetched) -> bool:
        """Write a page and, in the same transaction, that it is written. Whether it brought something new."""
        try:
            return self._write_checked(fetched)
        except DataError:
            # From None: the text of the error holds the value.
            raise MalformedAnswerError(
                f"{self._service}: {self.stream.name}: a page holds a value that its column cannot hold"
            ) from None

    def _write_checked(self, fetched: Fetched) -> bool:
        breath = self.tools.breath
        made = fetched.made or self._make(fetched.page, fetched.asked_at)
        prepared = writer.prepare(made, size=breath.rows)
        row = self.reading.page_row(fetched.ask.parent, fetched.page.cursor, prepared.keys.get(self.stream.model, ()))
        # Each of these may be done again after a kill; the page counts as written with the last of them.
        prepared.record_optouts()
        statements = list(prepared.statements)
        for statement in statements[:-1]:
            with breath:
                statement.run()
                breath.learn(statement.rows)

        def last() -> None:
            for statement in statements[-1:]:
                statement.run()
            row.save(force_insert=True)
            prepared.tell()

        self._commit(last, statements[-1].rows if statements else 0)
        self.reading.wrote(row)
        self.counts.count(prepared.written)
        news = prepared.written.added + prepared.written.changed > 0
        if news and self.stream.model is Contact:
            self.linking.note(fetched.page.records)
        return news

    def _commit(self, work: Callable[[], None], rows: int) -> None:
        using, breath = self.tools.using, self.tools.breath

        def once() -> None:
            with transaction.atomic(using=using):
                breath.locked()
                work()
            breath.learn(rows)

        with breath:
            sql.retrying(once, using=using)
