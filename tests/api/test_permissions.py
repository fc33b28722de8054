"""Every endpoint by every role."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from mktg_integration import permissions
from mktg_integration.api import urls
from tests.api.conftest import ROOT, granted
from tests.api.matrix import MATRIX, PERSON

METHODS = ("get", "post", "put", "patch", "delete")
VALUES = {"<pk>": "999999", "<provider>": "kit"}
SINGLE = sorted({*permissions.ALL, *(one for needed in MATRIX.values() if needed for one in needed)})


def endpoints() -> Iterator[str]:
    """``METHOD path/`` of each that the URL conf has."""
    for pattern in urls.urlpatterns:
        if pattern.name == "api-nothing":
            continue
        path = simplify_regex(re.sub(r"<\w+:", "<", str(pattern.pattern))).lstrip("/") or "/"
        view: Any = pattern.callback
        actions = getattr(view, "actions", None)
        view_class = getattr(view, "cls", None) or view.view_class
        for method in METHODS:
            is_there = method in actions if actions else hasattr(view_class, method)
            if is_there and method in view_class.http_method_names:
                yield f"{method.upper()} {path}"


def test_each_endpoint_says_who_may_call_it() -> None:
    assert set(endpoints()) == set(MATRIX)


@pytest.fixture
def roles(db: None, marketing: Callable[..., None]) -> dict[str, Any]:
    """Nobody, users and staff of all kinds; ``only:<permission>`` is staff with one alone."""
    marketing(EMAIL_VERIFIED="tests.api.test_permissions.is_verified", API={"THROTTLE_RATES": NO_RATES})
    found: dict[str, Any] = {
        "anonymous": None,
        "user": User.objects.create_user("user", email="user@example.com"),
        "user with all": granted(User.objects.create_user("user2", email="user2@example.com"), *permissions.ALL),
        "staff": User.objects.create_user("staff", email="staff@example.com", is_staff=True),
        "superuser": User.objects.create_superuser("root", email="root@example.com"),
    }
    for one in SINGLE:
        user = User.objects.create_user(one, email=f"{one}@example.com", is_staff=True)
        found[f"only:{one}"] = granted(user, one)
    return found


NO_RATES = dict.fromkeys(("mktg-read", "mktg-write", "mktg-call", "mktg-status", "mktg-person", "mktg-link"))


def is_verified(user: Any) -> bool:
    return True


def may_call(user: Any, endpoint: str) -> bool:
    method, _, path = endpoint.partition(" ")
    for name, value in VALUES.items():
        path = path.replace(name, value)
    client = APIClient()
    client.force_authenticate(user)
    answer = client.generic(method, ROOT + path.lstrip("/"), "{}", content_type="application/json")
    assert answer.status_code < 500 or path == "status/", answer.content
    return answer.status_code not in (401, 403)


@pytest.mark.parametrize("endpoint", MATRIX)
def test_each_role_may_do_what_the_matrix_says(endpoint: str, roles: dict[str, Any]) -> None:
    needed = MATRIX[endpoint]
    allowed = {name for name, user in roles.items() if may_call(user, endpoint)}
    if needed is PERSON:
        assert allowed == roles.keys() - {"anonymous"}
        return
    has: dict[str, set[str]] = {name: set() for name in roles if name == "staff"}
    has |= {f"only:{one}": {one} for one in SINGLE}
    assert allowed == {"superuser", *(name for name, held in has.items() if held >= set(needed))}


@pytest.mark.parametrize("endpoint", [endpoint for endpoint, needed in MATRIX.items() if needed and len(needed) > 1])
def test_where_several_permissions_are_needed_each_is(endpoint: str, roles: dict[str, Any]) -> None:
    needed = MATRIX[endpoint] or ()
    assert may_call(granted(roles["staff"], *needed), endpoint)
    for one in needed:
        others = [other for other in needed if other != one]
        user = granted(User.objects.create_user(f"without {one}", is_staff=True), *others)
        assert not may_call(user, endpoint), one


def test_an_action_that_names_no_permission_is_nobodys(db: None) -> None:
    from rest_framework.test import APIRequestFactory, force_authenticate

    from mktg_integration.api.runs import RunViewSet

    class Forgetful(RunViewSet):
        needs = {"list": RunViewSet.needs["list"]}

    request = APIRequestFactory().get("/")
    force_authenticate(request, User.objects.create_superuser("root"))
    assert Forgetful.as_view({"get": "list"})(request).status_code == 200
    assert Forgetful.as_view({"get": "retrieve"})(request, pk="1").status_code == 403
