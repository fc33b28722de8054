"""The options of a Conversion connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers import values
from mktg_integration.providers.base import Account

MOST_PER_BATCH = 1000
"""Overview, "Pagination": batch endpoints accept up to 1,000 contacts a request."""
V1_BATCH = 200
"""The newer v1 pages name 200 a batch; the older ones name no limit."""


class Dialect(StrEnum):
    V2 = "v2"
    V1 = "v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionOptions:
    """``existing_contacts``: the account may hold contacts that this site did not make. ``read_status``: the key may
    read and delete contacts by v1. ``tags_field``: the contact field that the tags are written to, if any.
    ``company_id_field``: the company field that the site's own id of a company is written to in v2, if any.
    ``exports``: the account has v2's exports, so its contacts can be listed.
    """

    dialect: Dialect = Dialect.V2
    update_only: bool = False
    sync_to_crm: bool = False
    preserve_existing_fields: bool = False
    existing_contacts: bool = True
    read_status: bool = True
    tags_field: str = ""
    company_id_field: str = ""
    exports: bool = False
    batch_size: int = MOST_PER_BATCH
    requests_per_second: int | None = None


OPTION_NAMES = (
    "PROFILE",
    "UNKNOWN_CONSENT",
    "DIALECT",
    "UPDATE_ONLY",
    "SYNC_TO_CRM",
    "PRESERVE_EXISTING_FIELDS",
    "EXISTING_CONTACTS",
    "READ_STATUS",
    "TAGS_FIELD",
    "COMPANY_ID_FIELD",
    "EXPORTS",
    "BATCH_SIZE",
    "REQUESTS_PER_SECOND",
)
V2_ONLY = ("UPDATE_ONLY", "SYNC_TO_CRM", "PRESERVE_EXISTING_FIELDS", "EXPORTS")


def parse_options(account: Account) -> ConversionOptions:
    """The account's options. Raises ``ConfigurationError`` naming the option that is wrong."""
    dialect = _dialect(account)
    flags = {name: values.flag(account, name, default=False) for name in V2_ONLY}
    for name, value in flags.items():
        if value and dialect is Dialect.V1:
            raise ConfigurationError(f"{account.name}: {name} exists in Conversion's v2 only: set DIALECT to 'v2'")
    company_id_field = values.text(account, "COMPANY_ID_FIELD")
    if company_id_field and dialect is Dialect.V1:
        raise ConfigurationError(f"{account.name}: leave COMPANY_ID_FIELD out: Conversion's v1 has the id itself")
    by_default = MOST_PER_BATCH if dialect is Dialect.V2 else V1_BATCH
    return ConversionOptions(
        dialect=dialect,
        update_only=flags["UPDATE_ONLY"],
        sync_to_crm=flags["SYNC_TO_CRM"],
        preserve_existing_fields=flags["PRESERVE_EXISTING_FIELDS"],
        existing_contacts=values.flag(account, "EXISTING_CONTACTS", default=True),
        read_status=values.flag(account, "READ_STATUS", default=True),
        tags_field=values.text(account, "TAGS_FIELD"),
        company_id_field=company_id_field,
        exports=flags["EXPORTS"],
        batch_size=values.whole_number(account, "BATCH_SIZE", default=by_default, most=MOST_PER_BATCH),
        requests_per_second=requests_per_second(account),
    )


def requests_per_second(account: Account) -> int | None:
    """What ``REQUESTS_PER_SECOND`` says; None where it is not set. Raises ``ConfigurationError``."""
    if account.options.get("REQUESTS_PER_SECOND") is None:
        return None
    return values.whole_number(account, "REQUESTS_PER_SECOND", default=1, most=1000)


def _dialect(account: Account) -> Dialect:
    given = account.options.get("DIALECT", Dialect.V2)
    try:
        return Dialect(given)
    except ValueError:
        raise ConfigurationError(f"{account.name}: DIALECT must be 'v2' or 'v1'") from None
