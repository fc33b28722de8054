"""One demo from start to figures."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

import requests

from example_project.demo.arrivals import Arrivals, look
from example_project.demo.processes import MANAGE, Children, free_port
from example_project.demo.report import Screen, table
from example_project.demo.visitors import Visitor, sign_up_all, visitors
from example_project.environment import CREDENTIALS

POLL_SECONDS = 0.4
# No more calls for so long, once everyone is there: then the figures are final.
QUIET_SECONDS = 2.0


class Demo:
    """One demo: its processes, its people, its figures."""

    def __init__(self, folder: Path, users: int, patience: float, screen: Screen) -> None:
        self.people: list[Visitor] = visitors(users)
        self.patience = patience
        self.password = secrets.token_urlsafe(9)
        self.sandbox = f"http://127.0.0.1:{free_port()}"
        port = os.environ.get("PORT") or str(free_port())
        self.site = f"http://127.0.0.1:{port}"
        self.children = Children(folder, self._environ(folder, port))
        self.screen = screen
        self._started_at = time.monotonic()
        self._signed_up_in = 0.0
        self._arrived_in = 0.0

    def _environ(self, folder: Path, port: str) -> dict[str, str]:
        # A demo must never reach a real account, whatever the environment holds.
        left_out = {*CREDENTIALS, "KIT_BASE_URL", "CONVERSION_BASE_URL", "CONVERTLOOP_BASE_URL"}
        left_out |= {"EXAMPLE_CONSENT", "PUBLIC_URL"}
        return {
            **{name: value for name, value in os.environ.items() if name not in left_out},
            "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder / 'demo.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DEMO_PASSWORD": self.password,
            "PORT": port,
            "PYTHONUNBUFFERED": "1",
            "SANDBOX_URL": self.sandbox,
        }

    def start(self) -> None:
        """Start everything, and wait until it answers."""
        self.screen.say("Starting the sandbox, the site and a cluster …")
        self.children.start("sandbox", "-m", "mktg_integration.sandbox", "--port", self.sandbox.rpartition(":")[2])
        self.children.run("prepare", "-m", "example_project.demo.prepare")
        self.children.start("cluster", str(MANAGE), "qcluster")
        self.children.start("site", str(MANAGE), "runserver", "--noreload", "--skip-checks")
        self._wait_for(f"{self.sandbox}/_sandbox/health")
        self._wait_for(f"{self.site}/login/")

    def sign_up_and_wait(self) -> list[Arrivals]:
        """Let everybody sign up, then watch until all have arrived and the services are quiet."""
        count = len(self.people)
        begun_at = time.monotonic()
        sign_up_all(self.site, self.people, lambda done: self.screen.update(f"{done} of {count} people signed up"))
        self._signed_up_in = time.monotonic() - begun_at
        self.screen.say("")
        return self._watch(begun_at)

    def _watch(self, begun_at: float) -> list[Arrivals]:
        ends_at = time.monotonic() + self.patience
        calls, quiet_since = -1, time.monotonic()
        while True:
            self.children.check()
            arrivals = look(self.sandbox, self.people)
            self.screen.update(*table(arrivals))
            now = time.monotonic()
            if sum(one.calls for one in arrivals) != calls:
                calls, quiet_since = sum(one.calls for one in arrivals), now
            complete = all(one.complete for one in arrivals)
            if complete and not self._arrived_in:
                self._arrived_in = now - begun_at
            if (complete and now - quiet_since >= QUIET_SECONDS) or now >= ends_at:
                return arrivals
            time.sleep(POLL_SECONDS)

    def figures(self, arrivals: list[Arrivals]) -> dict[str, Any]:
        return {
            "users": len(self.people),
            "newsletter": sum(person.newsletter for person in self.people),
            "complete": all(one.complete for one in arrivals),
            "seconds": {
                "signing_up": round(self._signed_up_in, 2),
                "until_all_arrived": round(self._arrived_in, 2) or None,
                "in_all": round(time.monotonic() - self._started_at, 2),
            },
            "services": {one.service: one.as_json() for one in arrivals},
        }

    def follow(self) -> None:
        """Pass on what the cluster and the site log, until Ctrl-C."""
        places = {name: self.children.log(name).stat().st_size for name in ("cluster", "site")}
        try:
            while True:
                self.children.check()
                for name, place in places.items():
                    with self.children.log(name).open(errors="replace") as log:
                        log.seek(place)
                        self.screen.say(*log.read().splitlines())
                        places[name] = log.tell()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            self.screen.say("", "Stopping …")

    def _wait_for(self, address: str) -> None:
        ends_at = time.monotonic() + 60
        while True:
            self.children.check()
            try:
                requests.get(address, timeout=5).raise_for_status()
            except requests.RequestException:
                if time.monotonic() >= ends_at:
                    raise
                time.sleep(0.1)
            else:
                return
