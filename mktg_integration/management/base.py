"""What the commands have in common: choosing connections, output for people or for machines, progress, exit status."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection


class Progress(Protocol):
    """What moves on a terminal while a command works."""

    def update(self, n: int = 1) -> Any: ...

    def set_postfix_str(self, s: str) -> Any: ...

    def close(self) -> Any: ...


class _Quiet:
    def update(self, n: int = 1) -> None:
        return None

    def set_postfix_str(self, s: str) -> None:
        return None

    def close(self) -> None:
        return None


class MktgCommand(BaseCommand):
    """Base of the commands. ``run`` does the work and returns what ``--json`` prints.

    A subclass names which common options it takes, tells people what happens with ``say``, and calls ``fail`` for what
    makes the command exit non-zero once everything is printed.
    """

    takes_connection: ClassVar[bool] = True
    takes_dry_run: ClassVar[bool] = True

    def add_arguments(self, parser: CommandParser) -> None:
        if self.takes_connection:
            parser.add_argument("--connection", metavar="NAME", help="only this connection (default: all)")
        if self.takes_dry_run:
            parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and do nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object for machines")
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: CommandParser) -> None:
        """For the options that this command alone takes."""

    def run(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Do the work; the result is what ``--json`` prints."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        self.failures: list[str] = []
        try:
            result = self.run(**options)
        except MktgError as error:
            raise CommandError(str(error)) from error
        if self.as_json:
            self.stdout.write(json.dumps({**result, "ok": not self.failures}, default=str, sort_keys=True))
        if self.failures:
            raise CommandError("; ".join(self.failures))

    def say(self, text: str) -> None:
        """For people; silent with ``--json``."""
        if not self.as_json:
            self.stdout.write(text)

    def fail(self, reason: str) -> None:
        """The command ends non-zero, with this on standard error, after it has printed its result."""
        self.failures.append(reason)

    def connections(self, name: str | None) -> list[Connection]:
        """The connections that the command is for. Raises ``CommandError`` that lists the names there are."""
        every = list(Connection.objects.select_related("state").order_by("name"))
        if name is None:
            return every
        chosen = [connection for connection in every if connection.name == name]
        if not chosen:
            names = ", ".join(connection.name for connection in every)
            there_are = f"there are: {names}" if names else "there is none: declare one in settings, then run migrate"
            raise CommandError(f"no connection is named {name!r}; {there_are}")
        return chosen

    def progress(self, what: str, *, total: int | None) -> Progress:
        """A progress bar on a terminal where tqdm is installed, otherwise nothing."""
        if self.as_json or not self.stderr.isatty():
            return _Quiet()
        try:
            from tqdm import tqdm
        except ImportError:
            return _Quiet()
        bar: Progress = tqdm(total=total, desc=what, unit="")
        return bar


def table(rows: Iterable[Iterable[object]], *, indent: str = "  ") -> str:
    """Rows as columns of equal width."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = (
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )
    return "\n".join(lines)
