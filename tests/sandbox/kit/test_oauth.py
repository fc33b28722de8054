"""OAuth as the document has it: consent, both token forms, refresh tokens that are good once, revocation."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mktg_integration.sandbox.credentials import KIT_CLIENT_ID, KIT_CLIENT_SECRET
from mktg_integration.sandbox.kit.oauth import challenge_of

from .calling import Kit

REDIRECT = "https://site.example/oauth/callback?next=1"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Of RFC 7636, appendix B."""

ASKED = {"client_id": KIT_CLIENT_ID, "response_type": "code", "redirect_uri": REDIRECT, "state": "a&b"}
PKCE = {**ASKED, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def consent(kit: Kit, asked: dict[str, str], decision: str = "allow") -> dict[str, list[str]]:
    """What the browser brings back to the app."""
    answer = kit.call(f"POST /oauth/authorize?{urlencode(asked)}", {"decision": decision}, headers={}, form=True)
    assert answer.status == 302
    return parse_qs(urlsplit(answer.response.headers["Location"]).query)


def exchange(kit: Kit, **more: str) -> Any:
    body = {"client_id": KIT_CLIENT_ID, "grant_type": "authorization_code", "redirect_uri": REDIRECT, **more}
    return kit.call("POST /oauth/token", body, headers={})


def tokens(kit: Kit) -> dict[str, Any]:
    answer = exchange(kit, code=consent(kit, ASKED)["code"][0], client_secret=KIT_CLIENT_SECRET)
    assert answer.status == 200, answer.json
    given: dict[str, Any] = answer.json
    return given


def refresh(kit: Kit, token: str, **more: str) -> Any:
    body = {"client_id": KIT_CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token, **more}
    return kit.call("POST /oauth/token", body, headers={})


def opens(kit: Kit, token: str) -> bool:
    return kit.call("GET /v4/account", headers={"authorization": f"Bearer {token}"}).status == 200


def test_the_consent_page_asks_and_its_answer_leads_back(kit: Kit) -> None:
    page = kit.call(f"GET /oauth/authorize?{urlencode({**ASKED, 'state': '<script>'})}", headers={})
    assert page.status == 200
    assert page.response.content_type.startswith("text/html")
    assert b'<form method="post">' in page.response.body
    assert b"&lt;script&gt;" in page.response.body
    assert b"<script>" not in page.response.body
    back = consent(kit, ASKED)
    assert (back["state"], back["next"]) == (["a&b"], ["1"])
    assert consent(kit, ASKED, "deny")["error"] == ["access_denied"]


def test_the_forms_fields_alone_are_enough(kit: Kit) -> None:
    answer = kit.call("POST /oauth/authorize", {**ASKED, "decision": "allow"}, headers={}, form=True)
    assert "code=" in answer.response.headers["Location"]


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_id": "unknown"}, 401, None),
        ({"redirect_uri": "javascript:alert(1)"}, 400, None),
        ({"redirect_uri": "https://elsewhere.example/"}, 400, None),
        ({"response_type": "token"}, 302, "unsupported_response_type"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, 302, "invalid_request"),
        ({"code_challenge": CHALLENGE}, 302, "invalid_request"),
    ],
)
def test_requests_that_cannot_be_granted(kit: Kit, changed: dict[str, str], status: int, error: str | None) -> None:
    kit.settings.redirect_uris = {KIT_CLIENT_ID: [REDIRECT]}
    kit.settings.auto_consent = True
    answer = kit.call(f"GET /oauth/authorize?{urlencode({**ASKED, **changed})}", headers={})
    assert answer.status == status
    location = answer.response.headers.get("Location")
    assert (parse_qs(urlsplit(location).query)["error"] == [error]) if location and error else location is None


@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
def test_a_client_with_a_secret(kit: Kit, form: bool) -> None:
    body = {
        "client_id": KIT_CLIENT_ID,
        "client_secret": KIT_CLIENT_SECRET,
        "grant_type": "authorization_code",
        "code": consent(kit, ASKED)["code"][0],
        "redirect_uri": REDIRECT,
    }
    answer = kit.call("POST /oauth/token", body, headers={}, form=form)
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["scope"] == "public"
    assert answer.json["expires_in"] == 172_800
    assert answer.json["created_at"] == int(kit.clock())
    assert opens(kit, answer.json["access_token"])


def test_a_client_with_pkce(kit: Kit) -> None:
    assert challenge_of(VERIFIER) == CHALLENGE
    code = consent(kit, PKCE)["code"][0]
    wrong = exchange(kit, code=code, code_verifier="x" * 43)
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")
    assert exchange(kit, code=code, code_verifier="short").json["error"] == "invalid_request"
    assert exchange(kit, code=code).json["error"] == "invalid_request"
    assert exchange(kit, code=code, code_verifier=VERIFIER).status == 200


def test_what_is_wrong_with_an_exchange(kit: Kit) -> None:
    secret = {"client_secret": KIT_CLIENT_SECRET}
    code = consent(kit, ASKED)["code"][0]
    for more, status, error in [
        ({"code": code}, 401, "invalid_client"),
        ({"code": code, "client_secret": "wrong"}, 401, "invalid_client"),
        ({"code": code, "client_id": "unknown", **secret}, 401, "invalid_client"),
        ({"code": "wrong", **secret}, 400, "invalid_grant"),
        ({"code": code, "redirect_uri": "https://site.example/", **secret}, 400, "invalid_grant"),
        ({"code": code, "grant_type": "password", **secret}, 400, "unsupported_grant_type"),
        ({"code": code, "client_id": "", **secret}, 400, "invalid_request"),
    ]:
        answer = exchange(kit, **more)
        assert (answer.status, answer.json["error"]) == (status, error), more
        assert set(answer.json) == {"error", "error_description"}
    assert exchange(kit, code=code, **secret).status == 200
    assert exchange(kit, code=code, **secret).json["error"] == "invalid_grant"


def test_a_code_is_good_for_ten_minutes(kit: Kit) -> None:
    code = consent(kit, ASKED)["code"][0]
    kit.clock.move(600)
    assert exchange(kit, code=code, client_secret=KIT_CLIENT_SECRET).json["error"] == "invalid_grant"


def test_an_undocumented_key_is_refused_and_told(kit: Kit) -> None:
    answer = exchange(kit, code="x", audience="y")
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert answer.response.undocumented == "body key audience"


def test_a_refresh_token_is_good_once(kit: Kit) -> None:
    first = tokens(kit)
    second = refresh(kit, first["refresh_token"])
    assert second.status == 200
    assert second.json["refresh_token"] != first["refresh_token"]
    assert opens(kit, second.json["access_token"])
    again = refresh(kit, first["refresh_token"])
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert refresh(kit, second.json["refresh_token"], client_secret=KIT_CLIENT_SECRET).status == 200


def test_tokens_expire_and_can_still_be_refreshed(kit: Kit) -> None:
    kit.settings.token_lifetime = 60
    given = tokens(kit)
    assert given["expires_in"] == 60
    kit.clock.move(59)
    assert opens(kit, given["access_token"])
    kit.clock.move(1)
    assert not opens(kit, given["access_token"])
    assert refresh(kit, given["refresh_token"]).status == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(kit: Kit, which: str) -> None:
    given = tokens(kit)
    body = {"token": given[which], "client_id": KIT_CLIENT_ID, "client_secret": KIT_CLIENT_SECRET}
    for _ in range(2):
        answer = kit.call("POST /oauth/revoke", body, headers={}, form=True)
        assert (answer.status, answer.json) == (200, {})
    assert not opens(kit, given["access_token"])
    assert refresh(kit, given["refresh_token"]).json["error"] == "invalid_grant"


def test_tokens_and_codes_come_back_with_the_world(kit: Kit) -> None:
    given = tokens(kit)
    code = consent(kit, PKCE)["code"][0]
    kit.service.load(kit.service.dump())
    assert opens(kit, given["access_token"])
    assert exchange(kit, code=code, code_verifier=VERIFIER).status == 200
    assert refresh(kit, given["refresh_token"]).status == 200


def test_each_token_has_its_own_rate(kit: Kit) -> None:
    first, second = tokens(kit), tokens(kit)
    kit.load(**{**kit.service.dump(), "settings": {"rate_limit": {"api_key": 1, "oauth": 1, "seconds": 60}}})
    assert opens(kit, first["access_token"])
    assert not opens(kit, first["access_token"])
    assert opens(kit, second["access_token"])
