"""A person's company: by the site's own id, told whole, known to the mirror once the service has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.profile import Company, Profile
from mktg_integration.providers import base
from mktg_integration.providers.base import Person
from mktg_integration.providers.conversion import ConversionProvider
from mktg_integration.testing.rounds import settle

from .people import V1, V2
from .service import Account

ACME = Company(external_id="7", name="Acme", domain="Acme.example", fields={"industry": "Tools"})


def employee(provider: ConversionProvider, number: int, company: Company, options: object = V2) -> Person:
    profile = Profile(email=f"p{number}@example.com", company=company)
    wanted = provider.snapshot(profile, user_id=str(number), options=options)  # type: ignore[arg-type]
    return Person(key=f"user:{number}", email=profile.email, wanted=wanted)


def test_v2_tells_it_with_the_contact(provider: ConversionProvider, account: Account) -> None:
    out = settle(provider, [employee(provider, 1, ACME)], account, V2)
    kept = account.at("p1@example.com")
    assert kept is not None
    assert kept.company == {"company_name": "Acme", "website": "Acme.example", "industry": "Tools"}
    (company,) = out.companies
    assert (company.external_id, company.name, company.domain) == ("7", "Acme", "Acme.example")
    assert company.values == {"company_name": "Acme", "website": "Acme.example", "industry": "Tools"}


def test_v2_has_a_place_for_the_sites_id_where_the_account_defines_one(
    provider: ConversionProvider, account: Account
) -> None:
    settle(provider, [employee(provider, 1, ACME)], account, replace(V2, company_id_field="crm_id"))
    kept = account.at("p1@example.com")
    assert kept is not None
    assert kept.company["crm_id"] == "7"


def test_who_changes_company_is_told_with_all_of_the_new_one(provider: ConversionProvider, account: Account) -> None:
    """Two companies that share an industry: part of the new one would leave the contact with a mixture."""
    before = settle(provider, [employee(provider, 1, ACME)], account, V2).people["user:1"]
    other = replace(ACME, external_id="8", name="Bolt")
    moved = replace(before, wanted=employee(provider, 1, other).wanted)
    out = settle(provider, [moved], account, V2)
    (call,) = out.calls
    assert call.items["user:1"]["contact"]["companyFields"] == {
        "company_name": "Bolt",
        "website": "Acme.example",
        "industry": "Tools",
    }
    assert [company.external_id for company in out.companies] == ["8"]
    assert settle(provider, [out.people["user:1"]], account, V2).calls == []


def test_v1_tells_a_company_once_for_all_its_people(provider: ConversionProvider, account: Account) -> None:
    out = settle(provider, [employee(provider, number, ACME, V1) for number in (1, 2, 3)], account, V1)
    assert out.operations.count("v1_companies") == 1
    variables = {"company_name": "Acme", "industry": "Tools"}
    assert account.companies == {"7": {"id": "7", "baseDomain": "acme.example", "variables": variables}}
    (company,) = out.companies
    assert (company.external_id, company.domain) == ("7", "acme.example")


@pytest.mark.parametrize("options", [V1, V2])
def test_a_field_may_not_pose_as_the_sites_id(provider: ConversionProvider, options: object) -> None:
    with pytest.raises(ProfileError, match="external_id"):
        employee(provider, 1, Company(external_id="7", fields={"id": "9"}), options)


def test_the_field_of_the_id_is_v2s_alone(provider: ConversionProvider) -> None:
    account = base.Account(
        name="crm",
        base_url="",
        credentials={"API_KEY": "k"},
        options={"DIALECT": "v1", "COMPANY_ID_FIELD": "crm_id"},
    )
    with pytest.raises(ConfigurationError, match="COMPANY_ID_FIELD"):
        provider.options(account)
