"""Kit as the engines see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from mktg_integration.exceptions import MalformedAnswerError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import Profile
from mktg_integration.providers.base import (
    Account,
    Answer,
    Call,
    Capability,
    Catalogue,
    Identity,
    Page,
    Person,
    Plan,
    Provider,
    Snapshot,
    StreamSpec,
    Verb,
    Verdict,
)
from mktg_integration.providers.broadcasts import BroadcastDraft
from mktg_integration.providers.kit import broadcasts, normal, occurrences, options, pull, push
from mktg_integration.providers.kit import plan as planning
from mktg_integration.providers.kit.client import DEFAULT_BASE_URL, KitClient
from mktg_integration.providers.kit.client.base import MAX_SYNCHRONOUS
from mktg_integration.providers.kit.client.client import REQUESTS_BY_KEY, REQUESTS_BY_OAUTH, WINDOW_SECONDS
from mktg_integration.providers.kit.client.oauth import ENDPOINTS
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.providers.kit.webhooks import KitWebhooks
from mktg_integration.providers.oauth import OAuthEndpoints
from mktg_integration.providers.occurrences import Occurrence, Progress
from mktg_integration.records import BroadcastRecord, ContactRecord

JSON = Any


class KitProvider(Provider[KitClient, KitOptions]):
    """Kit (formerly ConvertKit), API v4."""

    name: ClassVar[str] = "kit"
    label: ClassVar[str] = "Kit"
    default_base_url: ClassVar[str] = DEFAULT_BASE_URL
    credential_names: ClassVar[tuple[str, ...]] = options.CREDENTIAL_NAMES
    option_names: ClassVar[tuple[str, ...]] = options.OPTION_NAMES
    verbs: ClassVar[frozenset[Verb]] = frozenset(
        {
            Verb.SYNC,
            Verb.TAG,
            Verb.UNTAG,
            Verb.SUBSCRIBE,
            Verb.FORM,
            Verb.UNSUBSCRIBE,
            Verb.FORGET,
            Verb.PURCHASE,
            Verb.SEQUENCE,
            Verb.CREATE_TAG,
            Verb.RENAME_TAG,
        }
    )
    people_per_call: ClassVar[int] = MAX_SYNCHRONOUS
    introduces: ClassVar[bool] = True
    reactivates: ClassVar[bool] = False
    oauth: ClassVar[OAuthEndpoints | None] = ENDPOINTS
    webhooks: ClassVar[KitWebhooks] = KitWebhooks()

    def check_credentials(self, credentials: Mapping[str, str]) -> None:
        options.check_credentials(credentials)

    def options(self, account: Account) -> KitOptions:
        return options.parse_options(account)

    def client(self, account: Account, *, limiter: RateLimiter, tokens: TokenSource | None = None) -> KitClient:
        is_oauth = tokens is not None or options.is_oauth(account.credentials)
        return KitClient(
            api_key="" if is_oauth else account.credentials.get(options.API_KEY, ""),
            access_token=account.credentials.get(options.ACCESS_TOKEN, "") if tokens is None else "",
            tokens=tokens,
            base_url=account.base_url or DEFAULT_BASE_URL,
            limiter=limiter,
        )

    def rate_slots(self, account: Account) -> tuple[int, float] | None:
        is_oauth = options.is_oauth(account.credentials)
        return (REQUESTS_BY_OAUTH if is_oauth else REQUESTS_BY_KEY, WINDOW_SECONDS)

    def rate_credentials(self, account: Account) -> Mapping[str, str]:
        """By OAuth Kit counts by the token; one that is refreshed is known by the connection, so that the window of
        its predecessor goes on."""
        if account.credentials.get(options.REFRESH_TOKEN):
            return {"connection": account.name}
        if account.credentials.get(options.ACCESS_TOKEN):
            return {options.ACCESS_TOKEN: account.credentials[options.ACCESS_TOKEN]}
        return {options.API_KEY: account.credentials.get(options.API_KEY, "")}

    def identify(self, client: KitClient) -> Identity:
        """ "Get current account". Raises ``MalformedAnswerError`` for an answer without the account's id."""
        account = client.get_account().account
        if account.id is None:
            # Without it two accounts could not be told apart.
            raise MalformedAnswerError("kit: GET /v4/account is not as documented: account.id (missing)")
        return Identity(remote_id=str(account.id), label=account.name)

    def look_up(self, contact: ContactRecord, client: KitClient, options: KitOptions) -> ContactRecord | None:
        found: ContactRecord | None = KitWebhooks().contact(client, contact.remote_id)
        return found

    def snapshot(self, profile: Profile, *, user_id: str, options: KitOptions) -> Snapshot:
        return normal.snapshot(profile)

    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: KitOptions) -> Plan:
        return planning.plan(people, catalogue, options)

    def can(self, verb: Verb, account: Account) -> bool:
        if verb is Verb.PURCHASE and not options.is_oauth(account.credentials):
            return False
        return verb in self.verbs

    def plan_occurrence(
        self, person: Person, occurrence: Occurrence, catalogue: Catalogue, options: KitOptions, progress: Progress
    ) -> Call | Verdict | None:
        return occurrences.plan(person, occurrence, catalogue, options, progress)

    def answers_later(self, options: KitOptions) -> bool:
        return options.is_oauth

    def is_callback_of(self, call: Call, body: JSON) -> bool:
        return push.is_callback_of(call, body)

    def answered_later(self, call: Call, body: JSON) -> Answer:
        return push.answered_later(call, body)

    def read_broadcast(self, remote_id: str, client: KitClient) -> BroadcastDraft:
        return broadcasts.read(remote_id, client)

    def write_broadcast(self, remote_id: str, draft: BroadcastDraft, client: KitClient) -> BroadcastRecord:
        return broadcasts.write(remote_id, draft, client)

    def delete_broadcast(self, remote_id: str, client: KitClient) -> None:
        broadcasts.delete(remote_id, client)

    def execute(self, call: Call, client: KitClient) -> Answer:
        return push.execute(call, client)

    def streams(self, options: KitOptions) -> tuple[StreamSpec, ...]:
        return pull.streams(is_oauth=options.is_oauth)

    def read(self, stream: str, cursor: str | None, client: KitClient, since: datetime | None = None) -> Page:
        return pull.read(stream, cursor, client, since)

    def custom_field(self, name: str) -> str | None:
        return name.removeprefix(normal.FIELD) if name.startswith(normal.FIELD) else None

    def normal_tag(self, name: str) -> str:
        return normal.normal_tag(name)

    def capabilities(self) -> tuple[Capability, ...]:
        notes = {
            Verb.SUBSCRIBE: "a new subscriber only: who is inactive or opted out comes back by a form's confirmation",
            Verb.FORGET: "unsubscribes and takes our tags away; a person deletes the subscriber in Kit's own pages",
            Verb.TRACK: "Kit takes no events",
            Verb.FORM: "creates the person inactive and adds them to the form, which asks for the confirmation",
            Verb.PURCHASE: "by OAuth alone; with an API key purchases are left out",
            Verb.SEQUENCE: "of people who granted consent and have not opted out",
        }
        return tuple(Capability(name=verb, supported=verb in self.verbs, note=notes.get(verb, "")) for verb in Verb)
