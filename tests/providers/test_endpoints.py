"""Every endpoint of the documents has a method, and every method a test; the pages' tables say which."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mktg_integration.providers.conversion import ConversionClient
from mktg_integration.providers.convertloop import ConvertLoopClient
from mktg_integration.testing.standin import Canned, always, wired

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
CONTACT = {"id": "c", "email": "a@example.com", "subscriptionStatus": None, "cnvContactId": "c", "contactCreated": True}

# As the documents have them, not as the clients do.
DOCUMENTED: Mapping[str, set[str]] = {
    "conversion": {
        "POST /v2/contacts",
        "POST /v2/contacts/batch",
        "POST /v2/events",
        "POST /v2/exports/contacts",
        "POST /v1/contacts/batch",
        "GET /v1/contacts/by-email/{email}",
        "DELETE /v1/contacts/by-email/{email}",
        "POST /v1/contacts/batch-subscription",
        "POST /v1/contacts/engagements",
        "POST /v1/companies/batch",
        "GET /v1/companies/by-external-id/{id}",
        "DELETE /v1/companies/by-external-id/{id}",
    },
    "convertloop": {"POST /people", "POST /event_logs"},
}
CLIENTS: Mapping[str, Callable[[], Any]] = {
    "conversion": lambda: ConversionClient("key"),
    "convertloop": lambda: ConvertLoopClient("app", "key"),
}
BASES = {"conversion": "https://pub-api.conversion.ai/api", "convertloop": "https://api.convertloop.co/v1"}

CALLS: Mapping[str, Callable[[Any], Any]] = {
    "upsert_contact": lambda c: c.upsert_contact({"email": "a@example.com"}),
    "upsert_contacts": lambda c: c.upsert_contacts([{"email": "a@example.com"}]),
    "track_event": lambda c: c.track_event("x", email="a@example.com"),
    "export_page": lambda c: c.export_page(),
    "export_contacts": lambda c: list(c.export_contacts()),
    "v1_upsert_contacts": lambda c: c.v1_upsert_contacts([{"email": "a@example.com"}]),
    "v1_contact": lambda c: c.v1_contact("{email}"),
    "v1_delete_contact": lambda c: c.v1_delete_contact("{email}"),
    "v1_set_statuses": lambda c: c.v1_set_statuses([{"email": "a@example.com", "subscriptionStatus": "PENDING"}]),
    "v1_track_engagement": lambda c: c.v1_track_engagement("a@example.com", name="x", description="y"),
    "v1_upsert_companies": lambda c: c.v1_upsert_companies([{"id": "1"}]),
    "v1_company": lambda c: c.v1_company("{id}"),
    "v1_delete_company": lambda c: c.v1_delete_company("{id}"),
    "identify": lambda c: c.identify({"email": "a@example.com"}),
    "log_event": lambda c: c.log_event({"name": "x"}),
}
ANSWERS: Mapping[str, Any] = {
    "POST /v2/contacts/batch": {"data": {"results": []}},
    "POST /v2/events": {"data": {"cnvEventId": "e", "cnvContactId": "c"}},
    "POST /v2/exports/contacts": {"data": {"contacts": []}, "pagination": {"nextCursor": None}},
    "POST /v1/contacts/batch": {"success": True, "data": []},
}


class Row(NamedTuple):
    endpoint: str
    methods: tuple[str, ...]
    test: str


def rows(service: str) -> list[Row]:
    text = (ROOT / "docs" / "providers" / f"{service}.md").read_text()
    found = re.findall(r"^\| `([A-Z]+ /\S+)` \| (.+?) \| `(\S+?)` \|$", text, re.MULTILINE)
    return [Row(endpoint, tuple(re.findall(r"`(\w+)`", methods)), test) for endpoint, methods, test in found]


EVERY = [(service, row) for service in DOCUMENTED for row in rows(service)]
IDS = [row.endpoint for _, row in EVERY]


@pytest.mark.parametrize("service", DOCUMENTED)
def test_every_documented_endpoint_is_in_the_table_and_no_other(service: str) -> None:
    assert sorted(row.endpoint for row in rows(service)) == sorted(DOCUMENTED[service])


@pytest.mark.parametrize("service", DOCUMENTED)
def test_every_method_of_the_client_is_in_the_table(service: str) -> None:
    client = CLIENTS[service]()
    methods = {name for name, _ in inspect.getmembers(client, inspect.ismethod) if not name.startswith("_")}
    assert methods - {"close"} == {method for row in rows(service) for method in row.methods}


@pytest.mark.parametrize(("service", "row"), EVERY, ids=IDS)
def test_each_method_asks_its_endpoint(service: str, row: Row) -> None:
    answer = Canned(200, ANSWERS.get(row.endpoint, {"success": True, "data": CONTACT | {"email": "{email}"}}))
    for method in row.methods:
        with wired(always(answer)) as wire:
            CALLS[method](CLIENTS[service]())
        (request,) = wire.made
        path = str(request.url).removeprefix(BASES[service]).replace("%7B", "{").replace("%7D", "}")
        assert f"{request.method} {path}" == row.endpoint


@pytest.mark.parametrize(("service", "row"), EVERY, ids=IDS)
def test_each_endpoint_has_its_test(service: str, row: Row) -> None:
    """One that is there, and speaks of the method or of its address."""
    file, _, name = row.test.partition("::")
    source = (HERE / service / file).read_text()
    tests = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert name in tests
    last = row.endpoint.split("/")[-1].strip("{}")
    text = ast.get_source_segment(source, tests[name]) or ""
    words = [*row.methods, f"/{last}", *(word for word in ("BATCH", "SINGLE", "BY_EMAIL") if word in text)]
    assert any(word in text for word in words)
