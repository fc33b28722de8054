"""Conversion, as the engines see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import Profile
from mktg_integration.providers.base import (
    Account,
    Answer,
    Call,
    Capability,
    Catalogue,
    Event,
    Page,
    Person,
    Plan,
    Provider,
    Snapshot,
    StreamSpec,
    Verb,
)
from mktg_integration.providers.conversion import normal, plan, reading, steps
from mktg_integration.providers.conversion.client import BASE_URL, SERVICE, ConversionClient
from mktg_integration.providers.conversion.execute import execute
from mktg_integration.providers.conversion.options import (
    MOST_PER_BATCH,
    OPTION_NAMES,
    ConversionOptions,
    Dialect,
    parse_options,
    requests_per_second,
)
from mktg_integration.providers.values import require_credentials
from mktg_integration.records import ContactRecord

_NOTES = {
    Verb.SYNC: "v2: up to 1,000 people a call. v1: companies are upserted and not linked to their contacts",
    Verb.SUBSCRIBE: "somebody who was there before and may have opted out is first read by v1, one call each",
    Verb.UNSUBSCRIBE: "creates nobody. v1's request body is not documented and so unproven",
    Verb.TRACK: "v2: repeats are harmless. v1: an engagement told twice is recorded twice",
    Verb.FORGET: "by v1's delete; where the key may not use v1, it is unsubscribed and a person has to delete it",
    Verb.TAG: "Conversion has no tags; TAGS_FIELD writes the mapping's tags to a contact field",
    Verb.UNTAG: "Conversion has no tags; TAGS_FIELD writes the mapping's tags to a contact field",
    Verb.PURCHASE: "Conversion has no purchases: track an event",
}


class ConversionProvider(Provider[ConversionClient, ConversionOptions]):
    """Conversion (conversion.ai), v2 by default, v1 by ``DIALECT``."""

    name = SERVICE
    label = "Conversion"
    default_base_url = BASE_URL
    credential_names = ("API_KEY",)
    option_names = OPTION_NAMES
    verbs = frozenset({Verb.SYNC, Verb.SUBSCRIBE, Verb.UNSUBSCRIBE, Verb.TRACK, Verb.FORGET})
    people_per_call = MOST_PER_BATCH

    def check_credentials(self, credentials: Mapping[str, str]) -> None:
        require_credentials(
            credentials, self.credential_names, label=self.label, where="Conversion, Settings > Integrations"
        )

    def options(self, account: Account) -> ConversionOptions:
        return parse_options(account)

    def client(self, account: Account, *, limiter: RateLimiter, tokens: TokenSource | None = None) -> ConversionClient:
        self.check_credentials(account.credentials)
        return ConversionClient(
            account.credentials["API_KEY"], account.base_url or self.default_base_url, limiter=limiter
        )

    def rate_slots(self, account: Account) -> tuple[int, float] | None:
        """None is documented; ``REQUESTS_PER_SECOND`` sets one (v1's newer pages say 10)."""
        rate = requests_per_second(account)
        return None if rate is None else (rate, 1.0)

    def snapshot(self, profile: Profile, *, user_id: str, options: ConversionOptions) -> Snapshot:
        return normal.snapshot(profile, user_id=user_id, options=options)

    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConversionOptions) -> Plan:
        return plan.plan(people, options)

    def execute(self, call: Call, client: ConversionClient) -> Answer:
        return execute(call, client)

    def streams(self, options: ConversionOptions) -> tuple[StreamSpec, ...]:
        """The contacts, of an account that has exports."""
        return (StreamSpec(name="contacts", record=ContactRecord),) if options.exports else ()

    def introduction(self, options: ConversionOptions) -> tuple[str, ...]:
        return ("contacts",) if options.exports else ()

    def read(self, stream: str, cursor: str | None, client: ConversionClient, since: datetime | None = None) -> Page:
        if stream != "contacts":
            raise UnsupportedError(f"Conversion has no list of {stream}; with EXPORTS it has contacts")
        return reading.read_contacts(cursor, client)

    def look_up(
        self, contact: ContactRecord, client: ConversionClient, options: ConversionOptions
    ) -> ContactRecord | None:
        return reading.look_up(contact, client, options)

    def reads_one_by_one(self, options: ConversionOptions) -> bool:
        return options.read_status and not options.exports

    def verify(self, client: ConversionClient, options: ConversionOptions) -> str:
        return reading.verify(client, options)

    def plan_event(self, person: Person, event: Event, options: ConversionOptions) -> Call:
        """v2 ``POST /v2/events``; v1 an engagement, described by the data's ``description`` or else by its name."""
        email = steps.address(person)
        if options.dialect is Dialect.V2:
            item = {
                "event": event.name,
                "email": email,
                "event_id": event.key,
                "data": dict(event.data),
                "timestamp": event.occurred_at,
            }
            return Call(operation=steps.EVENT, items={person.key: item})
        item = {
            "contact_email": email,
            "name": event.name,
            "description": str(event.data.get("description") or event.name),
            "data": {**event.data, "occurred_at": event.occurred_at},
        }
        return Call(operation=steps.V1_ENGAGEMENT, items={person.key: item}, repeatable=False)

    def capabilities(self) -> tuple[Capability, ...]:
        return tuple(
            Capability(name=verb, supported=verb in self.verbs, note=_NOTES.get(verb, "Conversion has no such thing"))
            for verb in Verb
        )
