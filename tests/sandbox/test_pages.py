"""The HTML pages that show who is in a service."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from mktg_integration.sandbox import Sandbox

from .clients import Clients

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Checks that every element is closed in turn, and keeps texts and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def fetch(sandbox: Sandbox, clients: Clients, path: str) -> Page:
    answer = clients.session.get(sandbox.url + path, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Page(answer.text)


@pytest.mark.parametrize("path", ["/", "/kit/", "/conversion/", "/convertloop/", "/kit", "/conversion"])
def test_each_page_is_whole_when_empty_and_loads_nothing_from_elsewhere(
    sandbox: Sandbox, clients: Clients, path: str
) -> None:
    page = fetch(sandbox, clients, path)
    assert all(link.startswith("/") and not link.startswith("//") for link in page.links)
    assert len(sandbox.log) == 0, "looking is not counted"


def test_a_page_shows_who_is_there_and_what_was_asked(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion(fields={"first_name": "Jane"}, subscriptionStatus="SUBSCRIBED")
    clients.conversion(tags=["a"])
    texts = fetch(sandbox, clients, "/conversion/").texts
    assert "jane@example.com" in texts
    assert "first_name: Jane" in texts
    assert "SUBSCRIBED" in texts
    assert "POST /v2/contacts" in texts
    assert any("tags" in text for text in texts)
    assert "jane@example.com" not in fetch(sandbox, clients, "/convertloop/").texts


def test_the_overview_counts(sandbox: Sandbox, clients: Clients) -> None:
    for i in range(3):
        clients.convertloop(f"p{i}@example.com")
    page = fetch(sandbox, clients, "/")
    assert sandbox.convertloop_url in page.texts
    assert "3" in page.texts
    assert {"/kit/", "/conversion/", "/convertloop/"} <= set(page.links)


def test_what_people_are_called_is_never_markup(sandbox: Sandbox, clients: Clients) -> None:
    name = "<script>alert('x')</script>"
    clients.conversion(fields={"first_name": name})
    page = fetch(sandbox, clients, "/conversion/")
    assert f"first_name: {name}" in page.texts


def test_a_large_service_shows_its_newest(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.load({"conversion": {"contacts": [{"email": f"p{i}@example.com"} for i in range(600)]}})
    texts = fetch(sandbox, clients, "/conversion/").texts
    assert "p599@example.com" in texts
    assert "p0@example.com" not in texts
    assert "600" in texts


def test_other_pages_do_not_exist(sandbox: Sandbox, clients: Clients) -> None:
    assert clients.session.get(f"{sandbox.url}/mailchimp/", timeout=5).status_code == 404
    assert clients.session.post(f"{sandbox.url}/kit/", timeout=5).status_code == 404
