"""What goes wrong is told in one shape; the site's own authentication, permissions and rates hold, or are replaced."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from rest_framework import authentication, exceptions, permissions
from rest_framework.test import APIRequestFactory

from mktg_integration import exceptions as ours
from mktg_integration.api import problems
from mktg_integration.api.base import ApiView
from mktg_integration.models import AuditEntry, Connection
from tests.api.conftest import ROOT, Api, client_of

SHAPE = {"status", "code", "detail", "errors"}


def raw(api: Api, body: str, content_type: str) -> Any:
    return api.client.post(f"{ROOT}connections/", body, content_type=content_type)


def cursor(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda api: api.get("runs/999999/"), 404, "not_found"),
        (lambda api: api.get("runs/none/"), 404, "not_found"),
        (lambda api: api.get("unicorns/"), 404, "not_found"),
        (lambda api: api.post("contacts/<>/sync/"), 404, "not_found"),
        (lambda api: Api(client_of()).get("unicorns/"), 404, "not_found"),
        (lambda api: api.get("runs/", cursor=cursor("o=x")), 404, "not_found"),
        (lambda api: api.get("runs/", cursor=cursor("p=abc")), 404, "not_found"),
        (lambda api: api.get("audit/", cursor=cursor("p=abc")), 404, "not_found"),
        (lambda api: api.get("outbox/", cursor=cursor("p=\0")), 404, "not_found"),
        (lambda api: api.get("runs/", connection="none"), 400, "invalid"),
        (lambda api: api.get("runs/", status="tired"), 400, "invalid"),
        (lambda api: api.client.put("/marketing/api/v1/runs/"), 405, "method_not_allowed"),
        (lambda api: api.post("connections/", {}), 400, "invalid"),
        (lambda api: api.post("connections/", []), 400, "invalid"),
        (lambda api: raw(api, "{", "application/json"), 400, "parse_error"),
        (lambda api: raw(api, "<a/>", "text/xml"), 415, "unsupported_media_type"),
        (lambda api: api.client.get("/marketing/api/v1/runs/", headers={"accept": "image/png"}), 406, "not_acceptable"),
        (lambda api: raw(api, "a=1&" * 2000, "application/x-www-form-urlencoded"), 400, "too_much"),
        (lambda api: Api(client_of()).get("runs/"), 403, "not_authenticated"),
        (lambda api: Api(client_of(User.objects.create_user("plain"))).get("runs/"), 403, "permission_denied"),
    ],
)
def test_one_shape_for_all(api: Api, ask: Callable[[Api], Any], status: int, code: str) -> None:
    answer = ask(api)
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert told.keys() == SHAPE
    assert told["detail"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ours.UnsupportedError("it cannot"), 400, "unsupported"),
        (ours.ConfigurationError("it is wrong"), 400, "configuration"),
        (ours.ProfileError("it has no name"), 400, "profile"),
        (ours.NotNowError("it has ended"), 409, "not_now"),
        (ours.CopyError("it is a copy"), 409, "copy"),
        (ours.DecryptionError("no key opens it"), 409, "decryption"),
        (ours.MalformedAnswerError("it says what it should not"), 502, "service"),
        (
            ours.ServiceError(service="kit", endpoint="GET /v4/tags", action=ours.Action.RETRY, status=503),
            502,
            "service",
        ),
        (exceptions.PermissionDenied("not you", code="unverified"), 403, "unverified"),
        (ValidationError({"name": "too long"}), 400, "invalid"),
        (exceptions.AuthenticationFailed({"detail": "no", "code": "user_not_found"}), 403, "authentication_failed"),
    ],
)
def test_each_error_has_its_status_and_its_text(db: None, error: Exception, status: int, code: str) -> None:
    class Failing(ApiView):
        permission_classes = [permissions.AllowAny]

        def get(self, request: Any) -> Any:
            raise error

    answer = Failing.as_view()(APIRequestFactory().get("/"))

    assert answer.status_code == status
    assert answer.data.keys() == SHAPE
    assert answer.data["code"] == code
    if isinstance(error, ours.MktgError):
        assert answer.data["detail"] == str(error)


def test_a_missing_slash_is_added(api: Api) -> None:
    answer = api.get("runs")
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{ROOT}runs/")


def test_a_defect_is_not_told_as_anything_else(db: None) -> None:
    class Broken(ApiView):
        permission_classes = [permissions.AllowAny]

        def get(self, request: Any) -> Any:
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        Broken.as_view()(APIRequestFactory().get("/"))


def test_nested_fields_are_named_by_their_path() -> None:
    error = exceptions.ValidationError({"items": [{}, {"price": ["wrong"]}], "non_field_errors": ["and so on"]})
    told = problems.handle(error, {}).data  # type: ignore[union-attr]
    assert told["errors"] == {"items.1.price": ["wrong"], "non_field_errors": ["and so on"]}
    assert told["detail"] == "items.1.price: wrong and so on"


# Who is who, and how often


class ByHeader(authentication.BaseAuthentication):
    """A site's own way to know people."""

    def authenticate(self, request: Any) -> Any:
        name = request.headers.get("X-Who")
        return (User.objects.get(username=name), None) if name else None

    def authenticate_header(self, request: Any) -> str:
        return "X-Who"


class Nobody(permissions.BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


HERE = "tests.api.test_problems."


def asked_by_header() -> Any:
    User.objects.create_superuser("root2")
    return client_of().get("/marketing/api/v1/runs/", headers={"x-who": "root2"})


def test_the_sites_own_authentication_is_used(db: None, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": [f"{HERE}ByHeader"]}
    assert asked_by_header().status_code == 200
    assert client_of().get("/marketing/api/v1/runs/").status_code == 401


def test_the_setting_replaces_the_sites_authentication(api: Api, marketing: Callable[..., None]) -> None:
    marketing(API={"AUTHENTICATION_CLASSES": [f"{HERE}ByHeader"]})
    assert asked_by_header().status_code == 200
    assert api.get("runs/").status_code == 401, "a session is nobody any more"


def test_the_sites_own_permissions_hold_too(api: Api, settings: Any, marketing: Callable[..., None]) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_PERMISSION_CLASSES": [f"{HERE}Nobody"]}
    assert api.get("runs/").status_code == 403
    marketing(API={"PERMISSION_CLASSES": []})
    assert api.get("runs/").status_code == 200
    plain = Api(client_of(User.objects.create_user("plain")))
    assert plain.get("runs/").status_code == 403, "ours stay"


def test_a_form_of_another_site_does_nothing(crm: Connection) -> None:
    client = client_of(User.objects.create_superuser("root3"))
    client.handler.enforce_csrf_checks = True
    answer = Api(client).post(f"connections/{crm.pk}/pause/")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
    assert not AuditEntry.objects.exists()


def test_rates(api: Api, crm: Connection, marketing: Callable[..., None]) -> None:
    marketing(API={"THROTTLE_RATES": {"mktg-write": "1/min"}})
    assert api.post(f"connections/{crm.pk}/pause/").status_code == 200
    refused = api.post(f"connections/{crm.pk}/resume/")
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert int(refused.headers["Retry-After"]) > 0
    assert api.get("connections/").status_code == 200, "reading has a rate of its own"


def test_the_sites_rates_hold_where_the_setting_has_none(api: Api, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"mktg-read": "1/min"}}
    assert api.get("runs/").status_code == 200
    assert api.get("runs/").status_code == 429


def test_what_calls_a_service_has_a_rate_of_its_own(api: Api, crm: Connection, marketing: Callable[..., None]) -> None:
    marketing(API={"THROTTLE_RATES": {"mktg-call": "1/min"}})
    body = {"name": "x", "provider": "kit", "credentials": {}}
    assert api.post("connections/", body).status_code == 400
    assert api.post("connections/", body).status_code == 429
    assert api.post(f"connections/{crm.pk}/pause/").status_code == 200


# In a browser


@pytest.mark.parametrize(
    "path", ["", "connections/", "runs/", "outbox/", "rejected/", "rejected/reasons/", "audit/", "status/"]
)
def test_the_browsable_api(api: Api, crm: Connection, path: str) -> None:
    page = api.client.get(f"/marketing/api/v1/{path}", headers={"accept": "text/html"})
    assert page.status_code in (200, 503)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Django REST framework" in page.text


def test_the_browsable_api_of_one(api: Api, crm: Connection) -> None:
    for path in (f"connections/{crm.pk}/", f"connections/{crm.pk}/webhooks/", f"connections/{crm.pk}/pull/"):
        page = api.client.get(f"/marketing/api/v1/{path}", headers={"accept": "text/html"})
        assert "Django REST framework" in page.text, path


# The audit


def test_the_audit_newest_first_and_filtered(api: Api, crm: Connection) -> None:
    other = Connection.objects.create(name="other", provider="conversion")
    for connection in (crm, other, crm):
        api.post(f"connections/{connection.pk}/pause/")
    rows = api.get("audit/").json()["results"]
    assert [row["connection_name"] for row in rows] == ["crm", "other", "crm"]
    assert {row["via"] for row in rows} == {"api"}
    of_one = api.get("audit/", connection=crm.pk).json()["results"]
    assert len(of_one) == 2
    assert len(api.get("audit/", before=rows[-1]["at"]).json()["results"]) == 0
    assert len(api.get("audit/", since=rows[0]["at"]).json()["results"]) == 1
