"""The API is what its OpenAPI schema says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from mktg_integration import heartbeat
from mktg_integration.insight.ids import shown
from mktg_integration.models import Contact, DeadKind, DeadRow, Kind, Lane, Run
from mktg_integration.push.outbox import mark
from tests.api.matrix import MATRIX
from tests.packaging.test_imports import run
from tests.push.conftest import Connect

EXAMPLES = 5
"""Of each operation, as it should be called and as it should not."""
PASSWORD = "of a superuser"


@pytest.fixture
def described() -> dict[str, Any]:
    generators = pytest.importorskip("drf_spectacular.generators")
    schema: dict[str, Any] = generators.SchemaGenerator().get_schema(request=None, public=True)
    return schema


def test_it_is_made_without_a_warning() -> None:
    pytest.importorskip("drf_spectacular")
    said = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=said)
    assert "/marketing/api/v1/status/" in said.getvalue()


def test_each_endpoint_stands_in_it(described: dict[str, Any]) -> None:
    root = "/marketing/api/v1/"
    stands = {
        f"{method.upper()} {_as_in_matrix(path.removeprefix(root))}"
        for path, item in described["paths"].items()
        for method in item
        if path.startswith(root)
    }
    assert stands == MATRIX.keys() - {"GET /"}


def _as_in_matrix(path: str) -> str:
    name = "<provider>" if path.startswith("oauth/") else "<pk>"
    return "/".join(name if part.startswith("{") else part for part in path.split("/"))


def test_each_operation_tells_what_goes_wrong(described: dict[str, Any]) -> None:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if path.startswith("/marketing/api/v1/"):
                assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)


def test_the_api_works_without_the_extra() -> None:
    code = (
        "import sys; sys.modules['drf_spectacular'] = None\n"
        "import django; django.setup()\n"
        "from django.urls import reverse\n"
        "from rest_framework.test import APIRequestFactory\n"
        "from mktg_integration.api.runs import RunViewSet\n"
        "answer = RunViewSet.as_view({'get': 'list'})(APIRequestFactory().get('/'))\n"
        "print(reverse('mktg_integration:api-status'), answer.status_code)"
    )
    done = run("-c", code, DJANGO_SETTINGS_MODULE="tests.settings")
    assert done.stdout.split() == ["/marketing/api/v1/status/", "403"], done.stderr


@pytest.fixture
def site(connect: Connect, tasks: Any, marketing: Callable[..., None], transactional_db: None) -> dict[str, Any]:
    """A site with something of everything, where nothing is throttled. By the first part of the address, what is
    there."""
    rates = dict.fromkeys(("mktg-read", "mktg-write", "mktg-call", "mktg-status", "mktg-person", "mktg-link"))
    kit = connect("kit", PUBLIC_URL="http://testserver", API={"THROTTLE_RATES": rates})["kit"]
    now = timezone.now()
    Contact.objects.create(
        key=f"{kit.pk}:1",
        connection=kit,
        remote_id="1",
        email="ada@example.com",
        email_key="ada@example.com",
        status="active",
        seen_at=now,
    )
    pull = Run.objects.create(connection=kit, kind="pull", status="done", started_at=now, finished_at=now)
    mark(["user:1"], lane=Lane.LIVE)
    DeadRow.objects.create(
        key=f"{kit.pk}:profile:user:2",
        connection=kit,
        kind=Kind.PROFILE,
        subject="user:2",
        state=DeadKind.REJECTED,
        code="bad_email",
        reason="refused",
        marked_at=now,
        died_at=now,
    )
    heartbeat.beat()
    User.objects.create_superuser("root", email="root@example.com", password=PASSWORD)
    return {
        "connections": kit.pk,
        "runs": pull.pk,
        "outbox": f"{kit.pk}:profile:user:1",
        "rejected": f"{kit.pk}:profile:user:2",
        "contacts": shown(f"{kit.pk}:1"),
    }


@pytest.mark.slow
def test_whatever_is_sent_is_answered_as_described(
    site: dict[str, Any], live_server: Any, described: dict[str, Any]
) -> None:
    """Schemathesis: no 500, and no answer outside the schema."""
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_dict(described)
    wrong = [problem for operation in _operations(schema) for problem in _tried(operation, live_server.url, site)]
    assert not wrong, "\n\n".join(wrong)


def _operations(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/marketing/api/v1/"):
            yield operation


def _tried(operation: Any, base_url: str, there: dict[str, Any]) -> list[str]:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    if operation.path.endswith("/status/"):
        # Its 503 says that somebody has to look.
        checks.remove(not_a_server_error)
    wrong: list[str] = []
    place = operation.path.removeprefix("/marketing/api/v1/").split("/")[0]
    asked = count()
    for mode in GenerationMode:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            if place in there and case.path_parameters and next(asked) % 2:
                # What a random address never hits.
                case.path_parameters = dict.fromkeys(case.path_parameters, there[place])
            answer = case.call(base_url=base_url, auth=("root", PASSWORD))
            case.validate_response(answer, checks=checks)

        try:
            ask()
        except Unsatisfiable:
            # An address without parameters has no wrong ones.
            continue
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 (each kind of failure is told)
            told = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            wrong += [f"{operation.label} ({mode.value}): {one}" for one in told]
    return wrong
