"""The sandbox's services as stand-ins, reached without a server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.sandbox.core import Core
from mktg_integration.sandbox.wire import Request
from mktg_integration.testing.standin import Canned

CONVERSION_STATUS = {
    ContactStatus.ACTIVE: "SUBSCRIBED",
    ContactStatus.INACTIVE: "NO_STATUS",
    ContactStatus.UNREAD: "NO_STATUS",
    ContactStatus.UNSUBSCRIBED: "UNSUBSCRIBED",
    ContactStatus.BOUNCED: "BOUNCED",
    ContactStatus.COMPLAINED: "COMPLAINED",
}
KIT_STATE = {
    ContactStatus.ACTIVE: "active",
    ContactStatus.INACTIVE: "inactive",
    ContactStatus.UNREAD: "inactive",
    ContactStatus.UNSUBSCRIBED: "cancelled",
    ContactStatus.BOUNCED: "bounced",
    ContactStatus.COMPLAINED: "complained",
}


class SandboxService:
    """One service; ``root`` is the path of its default address, which a request's path begins with."""

    name: str
    root = ""

    def __init__(self) -> None:
        self.core = Core()

    def answer(self, request: requests.PreparedRequest) -> Canned:
        assert request.url is not None
        assert request.method is not None
        parts = urlsplit(request.url)
        body = request.body or b""
        with self.core.locked(self.name) as service:
            response = service.handle(
                Request(
                    method=request.method,
                    path=parts.path.removeprefix(self.root),
                    query=parse_qs(parts.query, keep_blank_values=True),
                    headers={name.lower(): value for name, value in request.headers.items()},
                    body=body if isinstance(body, bytes) else body.encode(),
                )
            )
        assert response.undocumented is None, response.undocumented
        headers = {**response.headers, "Content-Type": response.content_type}
        return Canned(response.status, body=response.body.decode(), headers=headers)

    def change(self, how: Callable[[dict[str, Any]], None]) -> None:
        world = self.core.dump()
        how(world[self.name])
        self.core.load(world)

    def addresses(self) -> Collection[str]:
        return [row["email"] for row in self.core.people(self.name)]


class Kit(SandboxService):
    name = "kit"

    def hold(self, email: str, status: ContactStatus) -> ContactRecord:
        number = 9000 + len(self.addresses())
        row = {"id": number, "email_address": email, "state": KIT_STATE[status]}
        self.change(lambda world: world["subscribers"].append(row))
        return ContactRecord(remote_id=str(number), email=email, status=status)

    def lose(self, email: str) -> None:
        def remove(world: dict[str, Any]) -> None:
            _remove(world["subscribers"], "email_address", email)
            left = {row["id"] for row in world["subscribers"]}
            world["taggings"] = [row for row in world["taggings"] if row["subscriber_id"] in left]

        self.change(remove)

    def mailable(self) -> Collection[str]:
        return [row["email_address"] for row in self.core.dump()["kit"]["subscribers"] if row["state"] == "active"]


class Conversion(SandboxService):
    name = "conversion"
    root = "/api"

    def hold(self, email: str, status: ContactStatus) -> ContactRecord:
        row = {"id": str(uuid.uuid4()), "email": email, "subscription_status": CONVERSION_STATUS[status]}
        self.change(lambda world: world["contacts"].append(row))
        # No answer to a push tells a status.
        return ContactRecord(remote_id=row["id"], email=email)

    def lose(self, email: str) -> None:
        self.change(lambda world: _remove(world["contacts"], "email", email))

    def mailable(self) -> Collection[str]:
        contacts = self.core.dump()["conversion"]["contacts"]
        return [row["email"] for row in contacts if row["subscription_status"] == "SUBSCRIBED"]


class ConvertLoop(SandboxService):
    """Mail starts in segments, and stops with an unsubscribe."""

    name = "convertloop"
    root = "/v1"

    def hold(self, email: str, status: ContactStatus) -> ContactRecord:
        row = {
            "id": 9000 + len(self.addresses()),
            "email": email,
            "user_id": email.removeprefix("p").split("@")[0],
            "subscribed": not status.opted_out,
            "segments": ["before"] if status is ContactStatus.ACTIVE else [],
        }
        self.change(lambda world: world["people"].append(row))
        return ContactRecord(remote_id=str(row["user_id"]), email=email)

    def lose(self, email: str) -> None:
        self.change(lambda world: _remove(world["people"], "email", email))

    def mailable(self) -> Collection[str]:
        people = self.core.dump()["convertloop"]["people"]
        return [row["email"] for row in people if row["subscribed"] and row["segments"]]


def _remove(rows: list[dict[str, Any]], key: str, value: str) -> None:
    rows[:] = [row for row in rows if row[key] != value]
    assert json.dumps(rows).find(value) < 0
