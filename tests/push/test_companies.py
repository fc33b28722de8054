"""Companies reach the mirror by what pushes tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.models import Company
from mktg_integration.profile import Company as CompanyProfile
from mktg_integration.profile import Profile
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, send
from tests.testapp.mappings import newsletter


def at_work(user: Any, connection: Any) -> Profile | None:
    """Everybody works at the same place."""
    profile = newsletter(user, connection)
    company = CompanyProfile(external_id="7", name="Acme", domain="acme.example")
    return profile and Profile(email=profile.email, company=company)


@pytest.mark.parametrize("dialect", ["v2", "v1"])
def test_one_row_for_all_who_work_there(
    dialect: str, connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    options = {"PROFILE": "tests.push.test_companies.at_work", "DIALECT": dialect}
    crm = connect("conversion", options=options)["conversion"]
    for name in ("ada", "bob"):
        sign_up(name)
    assert send(crm).done == 2
    (company,) = Company.objects.filter(connection=crm)
    assert (company.remote_id, company.name, company.domain) == ("7", "Acme", "acme.example")
    if dialect == "v1":
        assert [row["external_id"] for row in mktg_sandbox.dump()["conversion"]["companies"]] == ["7"]
