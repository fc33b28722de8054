"""How these tests call the Kit service, and the account that most of them start from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from mktg_integration.sandbox.credentials import KIT_ACCESS_TOKEN, KIT_API_KEY
from mktg_integration.sandbox.kit import KitService
from mktg_integration.sandbox.wire import Request, Response

OAUTH = {"authorization": f"Bearer {KIT_ACCESS_TOKEN}"}
API_KEY = {"x-kit-api-key": KIT_API_KEY}
NOW = 1_676_634_235.0
"""2023-02-17T11:43:55Z."""


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    response: Response

    @property
    def errors(self) -> list[str]:
        errors: list[str] = self.json["errors"]
        return errors


class Kit:
    """The service, and a client of its."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.service = KitService(clock=self.clock)
        self.settings.rate_limit = None

    @property
    def settings(self) -> Any:
        return self.service.settings

    def load(self, **world: Any) -> None:
        settings = {"rate_limit": None, **world.pop("settings", {})}
        self.service.load({"settings": settings, **world})

    def call(
        self,
        operation: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        form: bool = False,
        raw: bytes | None = None,
    ) -> Answer:
        """``call("GET /v4/tags?per_page=1")``, by OAuth unless other headers are given."""
        method, target = operation.split(" ", 1)
        path, _, query = target.partition("?")
        sent = dict(OAUTH if headers is None else headers)
        data = b"" if raw is None else raw
        if form:
            sent["content-type"] = "application/x-www-form-urlencoded"
            data = urlencode(body).encode()
        elif body is not None:
            sent["content-type"] = "application/json"
            data = json.dumps(body).encode()
        response = self.service.handle(Request(method, path, parse_qs(query), sent, data))
        is_json = response.content_type == "application/json" and response.body
        return Answer(response.status, json.loads(response.body) if is_json else None, response)

    def ids(self, operation: str) -> list[int]:
        """The ids that a list answers with, in its order."""
        answer = self.call(operation)
        assert answer.status == 200, answer.json
        rows = next(value for key, value in answer.json.items() if key != "pagination")
        return [row["id"] for row in rows]


def people(*states: str) -> list[dict[str, Any]]:
    """A subscriber of each state, ids from 1, made a day apart from 2023-01-01 on."""
    return [
        {
            "id": number,
            "email_address": f"person{number}@example.com",
            "first_name": f"Person {number}",
            "state": state,
            "created_at": f"2023-01-{number:02}T12:00:00Z",
            "cancelled_at": f"2023-02-{number:02}T12:00:00Z" if state == "cancelled" else None,
        }
        for number, state in enumerate(states, 1)
    ]


ACCOUNT: dict[str, Any] = {
    "account": {"colors": ["#008000"]},
    "creator_profile": {
        "name": "A Journey",
        "byline": "A Creator",
        "bio": "Follow",
        "image_url": "https://example.com/image.jpg",
        "profile_url": "https://example.com/profile",
    },
    "custom_fields": [{"id": 1, "label": "Last name"}, {"id": 2, "label": "Locked", "deletable": False}],
    "subscribers": people("active", "active", "cancelled"),
    "tags": [{"id": 1, "name": "Tag A"}, {"id": 2, "name": "Tag B"}],
    "taggings": [{"tag_id": 1, "subscriber_id": 1}],
    "segments": [{"id": 1, "name": "Segment A"}],
    "forms": [{"id": 1, "name": "Sign up", "uid": "f049e3d9ab"}],
    "form_members": [{"form_id": 1, "subscriber_id": 1}],
    "sequences": [{"id": 1, "name": "Evergreen"}],
    "sequence_members": [{"sequence_id": 1, "subscriber_id": 1}],
    "broadcasts": [
        {"id": 1, "email_template_id": 2, "subject": "A draft"},
        {"id": 2, "email_template_id": 2, "subject": "Sent", "send_at": "2023-02-01T00:00:00Z"},
    ],
    "purchases": [
        {
            "id": 1,
            "transaction_id": "512-41-4101",
            "status": "paid",
            "email_address": "person1@example.com",
            "currency": "USD",
            "transaction_time": "2023-02-17T11:43:55Z",
            "subtotal": 5,
            "discount": 0,
            "tax": 0,
            "total": 5,
            "products": [
                {"quantity": 1, "lid": "l1", "unit_price": 5, "sku": None, "name": "Tip", "pid": "p1"},
            ],
        }
    ],
    "webhooks": [{"id": 1, "event": "tag_add", "parameter": 1, "target_url": "http://127.0.0.1:9/tags"}],
}
"""One or two of everything."""
