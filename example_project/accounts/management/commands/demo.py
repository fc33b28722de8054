"""``manage.py demo``: the whole path, for real, on one machine."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import requests
from django.core.management.base import BaseCommand, CommandError, CommandParser

from example_project.demo.processes import ChildError
from example_project.demo.report import Screen, in_words
from example_project.demo.run import Demo
from example_project.demo.visitors import SignupError


class Command(BaseCommand):
    help = (
        "Start the sandbox, the site and a cluster, let people sign up over HTTP, and show what each service received. "
        "Uses a temporary SQLite database, or that of DATABASE_URL. No real service is ever called."
    )
    # The demo's own process uses no database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", type=int, default=25, metavar="N", help="how many sign up (default 25)")
        parser.add_argument("--once", action="store_true", help="end when all have arrived; non-zero if one has not")
        parser.add_argument("--json", action="store_true", help="print the figures alone, as JSON")
        parser.add_argument("--patience", type=float, default=120, metavar="S", help="seconds to wait (default 120)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["users"] < 1:
            raise CommandError("--users must be 1 or more")
        # So that a polite kill stops the children too.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)
        # A shell starts what it puts into the background with this one ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # The figures alone belong on standard output then.
        screen = Screen(sys.stderr if options["json"] else sys.stdout)
        with tempfile.TemporaryDirectory(prefix="mktg-demo-") as folder:
            demo = Demo(Path(folder), options["users"], options["patience"], screen)
            try:
                with demo.children:
                    complete = self._run(demo, screen, **options)
            except (ChildError, SignupError, requests.RequestException) as error:
                raise CommandError(str(error)) from error
            except KeyboardInterrupt:
                raise CommandError("stopped", returncode=130) from None
        if not complete:
            raise CommandError("not everyone arrived as they should", returncode=1)

    def _run(self, demo: Demo, screen: Screen, **options: Any) -> bool:
        demo.start()
        arrivals = demo.sign_up_and_wait()
        complete = all(one.complete for one in arrivals)
        screen.say("", *(in_words(one) for one in arrivals), "")
        if options["json"]:
            self.stdout.write(json.dumps(demo.figures(arrivals), indent=2))
            self.stdout.flush()
        if not options["once"]:
            screen.say(
                f"Site     {demo.site}/",
                f"Admin    {demo.site}/admin/  (demo / {demo.password})",
                f"Sandbox  {demo.sandbox}/",
                "",
                "Everything stays up until Ctrl-C; what happens is told here.",
            )
            demo.follow()
            return True
        return complete


def _leave(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)
