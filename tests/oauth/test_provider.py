"""A provider that declares its endpoints needs no line of code for OAuth."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import responses

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError, UnsupportedError
from mktg_integration.providers.oauth import (
    OAuthClient,
    OAuthEndpoints,
    is_refused_client,
    is_refused_grant,
    new_verifier,
)
from mktg_integration.providers.registry import get_provider

ENDPOINTS = OAuthEndpoints(
    authorize_url="https://mail.example/authorize?prompt=login",
    token_path="/token",
    revoke_path="/revoke",
    scope="people",
    redirect_hosts=("mail.example",),
)
BASE = "https://api.mail.example"
TOKENS = {"access_token": "a", "refresh_token": "r", "expires_in": 60, "token_type": "Bearer"}


def client(**given: Any) -> OAuthClient:
    return OAuthClient("mail", ENDPOINTS, base_url=BASE, client_id="id", **given)


def form(**expected: str) -> Any:
    """Matches a request whose form is this (the library's own matcher takes no bytes)."""

    def match(request: Any) -> tuple[bool, str]:
        return dict(parse_qsl(request.body.decode())) == {"client_id": "id", **expected}, "another form"

    return match


@responses.activate
def test_the_authorize_address() -> None:
    verifier = new_verifier()
    address = urlsplit(client(extra={"TENANT": "shop"}).authorize_url("https://x.org/cb", "st", verifier=verifier))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert 43 <= len(verifier) <= 128
    assert query.pop("code_challenge") != verifier
    assert query == {
        "prompt": "login", "response_type": "code", "client_id": "id", "redirect_uri": "https://x.org/cb",
        "scope": "people", "state": "st", "code_challenge_method": "S256", "tenant": "shop",
    }  # fmt: skip


@responses.activate
def test_the_challenge_is_that_of_rfc_7636() -> None:
    """Appendix B of the RFC."""
    address = client().authorize_url("x", "s", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&" in address


@responses.activate
def test_exchange_refresh_and_revoke() -> None:
    responses.post(
        f"{BASE}/token", json=TOKENS,
        match=[form(grant_type="authorization_code", code="c", redirect_uri="https://x.org/cb", code_verifier="v")],
    )  # fmt: skip
    pair = client().exchange_code("c", "https://x.org/cb", verifier="v")
    assert (pair.access_token, pair.refresh_token, pair.expires_in) == ("a", "r", 60.0)
    assert "'a'" not in repr(pair)

    refresh = form(grant_type="refresh_token", refresh_token="r", client_secret="s")
    responses.post(f"{BASE}/token", json={"access_token": "b"}, match=[refresh])
    renewed = client(client_secret="s").refresh("r")
    assert (renewed.access_token, renewed.refresh_token) == ("b", "r"), "one that is not replaced stays good"

    responses.post(f"{BASE}/revoke", status=200, match=[form(token="a")])
    client().revoke("a")


@responses.activate
@pytest.mark.parametrize(
    ("code", "status", "action"), [("invalid_grant", 400, Action.RECONNECT), ("invalid_client", 401, Action.RECONNECT)]
)
def test_refusals(code: str, status: int, action: Action) -> None:
    responses.post(f"{BASE}/token", json={"error": code, "error_description": "no"}, status=status)
    with pytest.raises(ServiceError) as raised:
        client().refresh("sesame")
    assert raised.value.action is action
    assert is_refused_grant(raised.value) is (code == "invalid_grant")
    assert is_refused_client(raised.value) is (code == "invalid_client")
    assert "sesame" not in str(raised.value)


@responses.activate
@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"access_token": ""},
        {"access_token": 1},
        {**TOKENS, "expires_in": "soon"},
        {**TOKENS, "refresh_token": 5},
    ],
)
def test_an_answer_that_is_not_as_documented(answer: Any) -> None:
    responses.post(f"{BASE}/token", json=answer)
    with pytest.raises(MalformedAnswerError, match="POST /token"):
        client().refresh("r")


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("mail.example", True),
        ("app.mail.example", True),
        ("evilmail.example", False),
        ("mail.example.evil", False),
        ("", False),
    ],
)
def test_own_hosts(host: str, is_own: bool) -> None:
    assert ENDPOINTS.allows_redirect_host(host) is is_own


def test_a_provider_without_oauth_says_so() -> None:
    with pytest.raises(UnsupportedError, match="key"):
        get_provider("convertloop").oauth_client(
            base_url=BASE, client_id="x", client_secret="", authorize_url="", extra={}, deadline=1, connect_timeout=1
        )
