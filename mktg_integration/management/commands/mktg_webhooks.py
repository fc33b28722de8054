"""``manage.py mktg_webhooks``: what the services are asked to tell, and what they told."""

from __future__ import annotations

import sys
from dataclasses import asdict
from getpass import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mktg_integration.exceptions import MktgError
from mktg_integration.inbound import registration
from mktg_integration.inbound.replay import replay
from mktg_integration.management.base import MktgCommand
from mktg_integration.models import Connection, InboxRow, InboxState, WebhookSubscription

ACTIONS = {
    "list": "what is registered, and what the inbox holds; calls no service",
    "register": "register events, and repair what is there",
    "repair": "make anew what is not there any more, remove what is there twice",
    "remove": "remove all of the connection's webhooks, or those of --event",
    "secret": "take a signed webhook's new secret from standard input",
    "replay": "apply again what could not be understood",
}


class Command(MktgCommand):
    help = "Register, list, repair and remove webhooks at the services. Idempotent. Ends non-zero if something failed."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action", choices=ACTIONS, help="; ".join(f"{name}: {does}" for name, does in ACTIONS.items())
        )
        parser.add_argument(
            "--event",
            action="append",
            default=[],
            metavar="NAME[=PARAMETER]",
            help="with register and remove: an event, with its parameter or (register) =all where it requires one; may "
            "be repeated (default: those that require none; all that are registered)",
        )
        parser.add_argument("--signed", action="store_true", help="with register: the signed kind, all of its events")

    def run(self, *, connection: str | None, action: str, **options: Any) -> dict[str, Any]:
        chosen = [row for row in self.connections(connection) if row.driver.webhooks is not None]
        if not chosen:
            self.say("no such connection is of a service that tells anything by itself")
        if action == "secret":
            return self._secret(chosen)
        return {"connections": {row.name: self._of(row, action, options) for row in chosen}}

    def _of(self, connection: Connection, action: str, options: dict[str, Any]) -> dict[str, Any]:
        if action == "list":
            return self._list(connection)
        if action == "replay":
            count = replay(InboxRow.objects.filter(connection=connection), dry_run=options["dry_run"])
            self.say(f"{connection.name}: {count} to be applied again")
            return {"replayed": count}
        try:
            done = self._registered(connection, action, options)
        except MktgError as error:
            self.fail(f"{connection.name}: {error}")
            return {"error": str(error)}
        for word in ("created", "removed", "kept"):
            for name in getattr(done, word):
                self.say(f"{connection.name}: {word} {name}")
        for reason in done.failed:
            self.fail(f"{connection.name}: {reason}")
        return asdict(done)

    def _registered(self, connection: Connection, action: str, options: dict[str, Any]) -> registration.Registration:
        dry_run = options["dry_run"]
        if action == "register":
            return registration.register(connection, options["event"], signed=options["signed"], dry_run=dry_run)
        if action == "repair":
            return registration.compare(connection) if dry_run else registration.repair(connection)
        return registration.remove(connection, options["event"], dry_run=dry_run)

    def _list(self, connection: Connection) -> dict[str, Any]:
        rows = WebhookSubscription.objects.filter(connection=connection).order_by("event", "parameter")
        found = [{"event": row.event, "parameter": row.parameter, "registered_at": row.registered_at} for row in rows]
        states = {
            state.value: InboxRow.objects.filter(connection=connection, state=state).count() for state in InboxState
        }
        for row in rows:
            self.say(f"{connection.name}: {row}" + ("" if row.remote_id else " (not registered yet)"))
        self.say(f"{connection.name}: " + ", ".join(f"{count} {state}" for state, count in states.items()))
        if states[InboxState.UNREADABLE.value]:
            self.fail(f"{connection.name}: {states[InboxState.UNREADABLE.value]} deliveries were not understood")
        return {"webhooks": found, "inbox": states}

    def _secret(self, chosen: list[Connection]) -> dict[str, Any]:
        if len(chosen) != 1:
            raise CommandError("name one connection with --connection")
        # Not an argument: those are seen by everybody on the machine.
        secret = getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline()
        if not secret.strip():
            raise CommandError("no secret was given")
        registration.add_secret(chosen[0], secret.strip())
        self.say(f"{chosen[0].name}: deliveries signed with it are taken, and with the one before")
        return {"connections": {chosen[0].name: {"secret": "stored"}}}
