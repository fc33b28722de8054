"""OAuth: consent, tokens, refresh and revocation (reference: "OAuth Authentication").

Both forms of the document: a client with a secret, and PKCE. Refresh tokens are good once. Token requests may be
JSON or form-encoded, and errors have the form of RFC 6749, section 5.2; revocation is RFC 7009's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import replace
from html import escape
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..wire import Response
from .core import Kit
from .errors import Refused
from .objects import Code, Token
from .requests import Keys
from .router import answer, routes

CODE_LIFETIME = 600.0
"""Seconds in which a code must be exchanged."""

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class OAuthRefused(Refused):
    """An error answer in OAuth's form."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(status, description)
        self.code = code


class AuthorizeQuery(Keys):
    client_id: str | None = None
    response_type: str | None = None
    redirect_uri: str | None = None
    scope: str = "public"
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    tenant_name: str | None = None


class ConsentBody(AuthorizeQuery):
    """What the consent page's form sends back."""

    decision: Literal["allow", "deny"]


class TokenBody(Keys):
    client_id: str | None = None
    client_secret: str | None = None
    grant_type: str | None = None
    code: str | None = None
    redirect_uri: str | None = None
    code_verifier: str | None = None
    refresh_token: str | None = None


class RevokeBody(Keys):
    token: str | None = None
    token_type_hint: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


@routes("GET /oauth/authorize", public=True)
def show_consent(kit: Kit, query: AuthorizeQuery) -> Response:
    if refusal := _refused_request(kit, query):
        return refusal
    if kit.world.settings.auto_consent:
        return _granted(kit, query)
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in query.model_dump(exclude_none=True).items()
    )
    page = (
        "<!doctype html><html lang=en><title>Authorize</title><main>"
        f"<h1>Let {escape(query.client_id or '')} use {escape(kit.world.account.name)}?</h1>"
        f'<form method="post">{hidden}'
        '<button name="decision" value="allow">Authorize</button> '
        '<button name="decision" value="deny">Deny</button></form></main></html>'
    )
    return _html(200, page)


@routes("POST /oauth/authorize", public=True, form=True)
def take_consent(kit: Kit, query: AuthorizeQuery, body: ConsentBody) -> Response:
    merged = {**query.model_dump(exclude_unset=True), **body.model_dump(exclude_unset=True)}
    decision = merged.pop("decision")
    asked = AuthorizeQuery.model_validate(merged)
    if refusal := _refused_request(kit, asked):
        return refusal
    return _granted(kit, asked) if decision == "allow" else _back(asked, error="access_denied")


@routes("POST /oauth/token", public=True, form=True)
def give_token(kit: Kit, body: TokenBody) -> Response:
    if not body.client_id or not body.grant_type:
        raise OAuthRefused(400, "invalid_request", "client_id and grant_type are required.")
    _check_client(kit, body.client_id, body.client_secret)
    if body.grant_type == "authorization_code":
        return _token_for_code(kit, body)
    if body.grant_type == "refresh_token":
        return _token_for_refresh(kit, body)
    raise OAuthRefused(400, "unsupported_grant_type", "Use authorization_code or refresh_token.")


@routes("POST /oauth/revoke", public=True, form=True)
def revoke(kit: Kit, body: RevokeBody) -> Response:
    if body.client_id is not None:
        _check_client(kit, body.client_id, body.client_secret)
    # An unknown token is no error (RFC 7009, section 2.2): it is not good, which is what was asked for.
    for index, token in enumerate(kit.world.tokens):
        if body.token and body.token in (token.access_token, token.refresh_token):
            kit.world.tokens[index] = replace(token, revoked=True)
    return answer(200, {})


def _check_client(kit: Kit, client_id: str, secret: str | None) -> None:
    """Refuse a client that is unknown, or that sent a secret which is not its own."""
    known = kit.clients.get(client_id)
    if known is None or (secret is not None and not hmac.compare_digest(secret.encode(), known.encode())):
        raise OAuthRefused(401, "invalid_client", "The client is unknown, or its client_secret is wrong.")


def _token_for_code(kit: Kit, body: TokenBody) -> Response:
    code = kit.world.codes.get(body.code or "")
    if code is None or code.client_id != body.client_id or code.expires_at <= kit.clock():
        raise OAuthRefused(400, "invalid_grant", "The code is unknown, used or expired, or another client's.")
    if code.redirect_uri != body.redirect_uri:
        raise OAuthRefused(400, "invalid_grant", "The redirect_uri is not the one that the code was sent to.")
    if code.challenge is None:
        if body.client_secret is None:
            raise OAuthRefused(401, "invalid_client", "The client_secret is missing.")
    elif not body.code_verifier or not _VERIFIER.fullmatch(body.code_verifier):
        raise OAuthRefused(400, "invalid_request", "The code_verifier is missing or malformed.")
    elif not hmac.compare_digest(challenge_of(body.code_verifier), code.challenge.rstrip("=")):
        raise OAuthRefused(400, "invalid_grant", "The code_verifier does not match the code_challenge.")
    del kit.world.codes[code.code]
    return _issued(kit, code.client_id, code.scope, code.tenant)


def _token_for_refresh(kit: Kit, body: TokenBody) -> Response:
    for index, token in enumerate(kit.world.tokens):
        if token.refresh_token == body.refresh_token and token.client_id == body.client_id:
            if token.refreshed or token.revoked:
                break
            kit.world.tokens[index] = replace(token, refreshed=True)
            return _issued(kit, token.client_id, token.scope, token.tenant)
    raise OAuthRefused(400, "invalid_grant", "The refresh token is unknown, used or revoked, or another client's.")


def challenge_of(verifier: str) -> str:
    """PKCE's S256, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _issued(kit: Kit, client_id: str, scope: str, tenant: str | None) -> Response:
    now, lifetime = kit.clock(), kit.world.settings.token_lifetime
    token = Token(
        access_token=secrets.token_urlsafe(32),
        refresh_token=secrets.token_urlsafe(32),
        client_id=client_id,
        scope=scope,
        created_at=now,
        expires_at=now + lifetime,
        tenant=tenant,
    )
    kit.world.tokens.append(token)
    return answer(
        200,
        {
            "access_token": token.access_token,
            "token_type": "Bearer",
            "expires_in": int(lifetime),
            "refresh_token": token.refresh_token,
            "scope": scope,
            "created_at": int(now),
        },
    )


def _refused_request(kit: Kit, asked: AuthorizeQuery) -> Response | None:
    """The answer to an authorization request that cannot be granted."""
    if asked.client_id is None or asked.client_id not in kit.clients:
        return _html(401, "<!doctype html><title>Error</title><p>The client_id is unknown.")
    uri = urlsplit(asked.redirect_uri or "")
    allowed = kit.world.settings.redirect_uris.get(asked.client_id)
    if uri.scheme not in {"http", "https"} or not uri.netloc or uri.fragment:
        return _html(400, "<!doctype html><title>Error</title><p>The redirect_uri is missing or malformed.")
    if allowed is not None and asked.redirect_uri not in allowed:
        # Never sent to an address that is not the app's own.
        return _html(400, "<!doctype html><title>Error</title><p>The redirect_uri is not one of the app's.")
    if asked.response_type != "code":
        return _back(asked, error="unsupported_response_type")
    if (asked.code_challenge is None) != (asked.code_challenge_method is None):
        return _back(asked, error="invalid_request")
    if asked.code_challenge_method not in (None, "S256"):
        return _back(asked, error="invalid_request")
    return None


def _granted(kit: Kit, asked: AuthorizeQuery) -> Response:
    code = Code(
        code=secrets.token_urlsafe(32),
        client_id=asked.client_id or "",
        redirect_uri=asked.redirect_uri or "",
        scope=asked.scope,
        expires_at=kit.clock() + CODE_LIFETIME,
        challenge=asked.code_challenge,
        tenant=asked.tenant_name,
    )
    kit.world.codes[code.code] = code
    return _back(asked, code=code.code)


def _back(asked: AuthorizeQuery, **values: str) -> Response:
    """A redirect to the app with a code or an error, and the state that it gave."""
    uri = urlsplit(asked.redirect_uri or "")
    if asked.state is not None:
        values["state"] = asked.state
    query = urlencode([*parse_qsl(uri.query, keep_blank_values=True), *values.items()])
    location = urlunsplit(uri._replace(query=query))
    page = f'<html><body>You are being <a href="{escape(location)}">redirected</a>.</body></html>'
    return replace(_html(302, page), headers={"Location": location})


def _html(status: int, page: str) -> Response:
    return Response(status, page.encode(), "text/html; charset=utf-8")
