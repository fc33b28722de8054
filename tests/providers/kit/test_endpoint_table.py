"""The table of endpoints on Kit's page: all that the document has, and for each what there is."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mktg_integration import models
from mktg_integration.http import Unlimited
from mktg_integration.mirror.rows import model_of
from mktg_integration.providers.kit import pull
from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.client.newer import Newer
from tests.providers.kit.asking import ASKS
from tests.providers.kit.serving import Serving

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "providers" / "kit.md").read_text()
DOCUMENT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "document.json").read_text())


class Row(NamedTuple):
    title: str
    endpoint: str
    method: str
    models: tuple[str, ...]
    test: str


def rows() -> list[Row]:
    found = re.findall(r"^\| (.+?) \| `([A-Z]+ /\S+)` \| `(\S+)` \| (.+?) \| `(\S+?)` \|$", PAGE, re.MULTILINE)
    return [
        Row(title, endpoint, method, tuple(re.findall(r"`(\w+)`", named)), test)
        for title, endpoint, method, named, test in found
    ]


NEWER = re.findall(r"^\| `([A-Z]+) (/v4/\S+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
"""Verb, path and method of what is beyond the document."""

EACH = pytest.mark.parametrize("row", rows(), ids=[row.title for row in rows()])


def test_every_endpoint_of_the_document_is_in_the_table_and_no_other() -> None:
    documented = [(endpoint["title"], f"{endpoint['method']} {endpoint['path']}") for endpoint in DOCUMENT]
    assert [(row.title.replace("PKCE:", "[PKCE]"), row.endpoint) for row in rows()] == documented


@EACH
def test_the_method_is_the_one_that_makes_the_call(row: Row) -> None:
    ask = ASKS[row.title.replace("PKCE:", "[PKCE]")]
    assert row.method.split(".")[-1] == ask.method.__name__
    assert row.method.startswith("KitOAuth.") == ask.is_of_oauth


def test_every_method_of_the_client_is_in_a_table() -> None:
    newer = [method for _, _, method in NEWER]
    named = {name for name in dir(KitClient) if not name.startswith("_")} - {"close"}
    assert {row.method for row in rows() if "." not in row.method} | set(newer) == named
    assert newer == [name for name in vars(Newer) if not name.startswith("_")]


@EACH
def test_its_models_are_there(row: Row) -> None:
    assert [name for name in row.models if not hasattr(models, name)] == []


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with Serving() as serving:
        yield serving


@pytest.mark.parametrize("spec", pull.streams(is_oauth=True), ids=lambda spec: spec.name)
def test_what_a_pull_reads_is_in_the_models_that_it_fills(spec: Any, service: Serving) -> None:
    """The endpoints that the stream asks, by the requests that it makes."""
    client = KitClient(access_token="t", base_url=service.url, limiter=Unlimited())
    answers: dict[str, Any] = {}
    for endpoint in DOCUMENT:
        if endpoint["method"] == "GET":
            answers |= endpoint["examples"].get("200", {}) if endpoint["path"] != "/v4/account" else {}
    account = next(endpoint for endpoint in DOCUMENT if endpoint["path"] == "/v4/account")
    stats = next(endpoint for endpoint in DOCUMENT if endpoint["title"] == "Get email stats")
    growth = next(endpoint for endpoint in DOCUMENT if endpoint["title"] == "Get growth stats")
    answers |= account["examples"]["200"]
    answers["stats"] = {**stats["examples"]["200"]["stats"], **growth["examples"]["200"]["stats"]}
    answers["broadcast"] = next(e for e in DOCUMENT if e["title"] == "Get stats")["examples"]["200"]["broadcast"]
    service.will_answer(200, answers)

    pull.read(f"{spec.name}:1" if spec.parent else spec.name, None, client)

    asked = {re.sub(r"/\d+(?=/|$)", "/{id}", request.path) for request in service.asked}
    told = {row for row in rows() if re.sub(r"\{\w+\}", "{id}", row.endpoint.removeprefix("GET ")) in asked}
    assert len(told) == len(asked)
    filled = {model_of(record).__name__ for record in (spec.record, *spec.extra)}
    assert {name for row in told for name in row.models} == filled


@pytest.mark.parametrize(("verb", "path", "method"), NEWER, ids=[method for _, _, method in NEWER])
def test_what_is_beyond_the_document_asks_its_endpoint(verb: str, path: str, method: str, service: Serving) -> None:
    given = {"body": {"name": "x"}, "taggings": [(1, 2)]}
    taken = inspect.signature(getattr(KitClient, method)).parameters.values()
    arguments = [given.get(one.name, 1) for one in taken if one.name != "self" and one.default is one.empty]
    service.will_answer(204 if method.startswith("delete") else 200, {"any": "thing"})

    answer = getattr(KitClient(access_token="t", base_url=service.url, limiter=Unlimited()), method)(*arguments)

    (asked,) = service.asked
    assert asked.method == verb
    assert re.fullmatch(re.sub(r"\{\w+\}", "1", path), asked.path)
    if "body" in {one.name for one in taken}:
        assert asked.body == {"name": "x"}
    assert answer is None if method.startswith("delete") else answer.model_extra == {"any": "thing"}


@EACH
def test_its_test_is_there(row: Row) -> None:
    path, _, name = row.test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
