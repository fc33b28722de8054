"""Every endpoint, parameter, status and example of Kit's v4 document against the client, over HTTP.

``document.json`` is the document's own list of endpoints, with its examples.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.kit.client import KitClient, KitPage, Written
from mktg_integration.providers.kit.client.newer import Newer
from tests.providers.kit.asking import ASKS
from tests.providers.kit.serving import Asked, Serving

DOCUMENT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "document.json").read_text())
IN_BROWSER = 302
"""The status of what a browser and not the client asks for."""
ACTIONS = {
    401: Action.RECONNECT,
    403: Action.FORBIDDEN,
    404: Action.REJECT,
    413: Action.WAIT,
    422: Action.REJECT,
}


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with Serving() as serving:
        yield serving


def cases(wanted: Callable[[int], bool]) -> list[Any]:
    return [
        pytest.param(endpoint, status, id=f"{endpoint['title']}-{status}")
        for endpoint in DOCUMENT
        for status in endpoint["statuses"]
        if wanted(status)
    ]


def call(service: Serving, endpoint: dict[str, Any], status: int) -> tuple[Any, Asked]:
    """Let the client make the endpoint's call, answered with the document's example."""
    service.will_answer(status, endpoint["examples"].get(str(status)))
    answer = ASKS[endpoint["title"]].of(service.url)
    (asked,) = service.asked
    return answer, asked


def check_request(endpoint: dict[str, Any], asked: Asked) -> None:
    """Nothing of the document is missing, and nothing else is there."""
    path = re.sub(r"\{\w+\}", "[0-9]+", endpoint["path"])
    assert asked.method == endpoint["method"]
    assert re.fullmatch(path, asked.path)
    assert set(asked.query) == set(endpoint["query"])
    assert set(keys(asked.body or {})) == set(endpoint["body"])
    if endpoint["path"].startswith("/v4/"):
        assert asked.headers["authorization"].startswith("Bearer ")


def check_success(service: Serving, endpoint: dict[str, Any], status: int) -> None:
    answer, asked = call(service, endpoint, status)
    check_request(endpoint, asked)
    if isinstance(answer, Written):
        assert answer.status == status
        assert answer.created is {200: False, 201: True, 202: None}[status]
    if endpoint["title"].startswith("Bulk"):
        assert (answer is None) == (status == 202)
    elif status == 204:
        assert answer is None
    else:
        assert answer
    assert not list(untyped(answer)), "each key of the example is one of the type's"


def check_error(service: Serving, endpoint: dict[str, Any], status: int) -> None:
    with pytest.raises(ServiceError) as caught:
        call(service, endpoint, status)
    error = caught.value
    assert error.messages == tuple(endpoint["examples"][str(status)]["errors"])
    assert error.endpoint == f"{endpoint['method']} {endpoint['path']}"
    assert (error.status, error.action) == (status, ACTIONS[status])


def keys(body: Any, before: str = "") -> Iterator[str]:
    """The dotted names of all that a body holds, lists looked into."""
    if isinstance(body, list):
        for item in body:
            yield from keys(item, before)
    elif isinstance(body, dict):
        for name, value in body.items():
            yield before + name
            yield from keys(value, f"{before}{name}.")


def untyped(answer: Any) -> Iterator[str]:
    """Keys that were kept without being known."""
    if isinstance(answer, BaseModel):
        yield from answer.model_extra or {}
        for name in type(answer).model_fields:
            yield from untyped(getattr(answer, name))
    elif isinstance(answer, Written):
        yield from untyped(answer.value)
    elif isinstance(answer, KitPage):
        yield from untyped([*answer.items, answer.pagination])
    elif isinstance(answer, tuple | list):
        for item in answer:
            yield from untyped(item)


def test_the_client_has_every_endpoint_of_the_document() -> None:
    assert [endpoint["title"] for endpoint in DOCUMENT] == list(ASKS)
    assert len(DOCUMENT) == 55


@pytest.mark.parametrize(("endpoint", "status"), cases(lambda status: status < 300))
def test_each_documented_success_is_understood(service: Serving, endpoint: dict[str, Any], status: int) -> None:
    check_success(service, endpoint, status)


@pytest.mark.parametrize(("endpoint", "status"), cases(lambda status: status >= 400))
def test_each_documented_error_keeps_all_messages(service: Serving, endpoint: dict[str, Any], status: int) -> None:
    if (endpoint["title"], status) == ("Get Creator Profile", 404):
        assert call(service, endpoint, status)[0] is None, "there is none"
        return
    check_error(service, endpoint, status)


@pytest.mark.parametrize(("endpoint", "status"), cases(lambda status: status == IN_BROWSER))
def test_each_address_for_the_browser(endpoint: dict[str, Any], status: int) -> None:
    address = urlsplit(ASKS[endpoint["title"]].of("https://api.kit.com"))
    assert (address.scheme, address.path) == ("https", endpoint["path"])
    assert set(parse_qs(address.query)) == set(endpoint["query"])


def endpoint_of(title: str) -> dict[str, Any]:
    return copy.deepcopy(next(endpoint for endpoint in DOCUMENT if endpoint["title"] == title))


def test_a_parameter_more_in_the_document_would_be_noticed(service: Serving) -> None:
    listed, created = endpoint_of("List tags"), endpoint_of("Create a tag")
    listed["query"].append("colour")
    created["body"].append("colour")
    for endpoint in (listed, created):
        with pytest.raises(AssertionError):
            check_success(service, endpoint, endpoint["statuses"][0])


def test_a_status_more_in_the_document_would_be_noticed(service: Serving) -> None:
    endpoint = endpoint_of("Create a tag")
    endpoint["examples"] |= {"202": endpoint["examples"]["201"], "409": {"errors": ["There is one"]}}
    with pytest.raises(ServiceError):
        check_success(service, endpoint, 202)
    with pytest.raises(KeyError):
        check_error(service, endpoint, 409)


@pytest.mark.parametrize("name", [name for name in vars(Newer) if not name.startswith("_")])
def test_what_is_beyond_the_document_says_so(name: str) -> None:
    assert "Beyond the document" in (inspect.getdoc(getattr(KitClient, name)) or "")
