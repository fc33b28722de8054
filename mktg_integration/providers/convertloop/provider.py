"""ConvertLoop, as the engines see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import RateLimiter, TokenSource
from mktg_integration.profile import Profile
from mktg_integration.providers.base import (
    Account,
    Answer,
    Call,
    Capability,
    Catalogue,
    Event,
    Person,
    Plan,
    Provider,
    Result,
    Snapshot,
    Verb,
    Verdict,
)
from mktg_integration.providers.convertloop import normal, plan
from mktg_integration.providers.convertloop.client import BASE_URL, SERVICE, ConvertLoopClient
from mktg_integration.providers.convertloop.options import OPTION_NAMES, ConvertLoopOptions, parse_options
from mktg_integration.providers.values import require_credentials
from mktg_integration.records import ContactRecord

JSON = Any

_BY_HAND = "our segments are taken away; the rest has to be done by a person in ConvertLoop's own pages"
_NOTES = {
    Verb.SYNC: "one call a person. Nothing can be read: what is shown is what was last sent",
    Verb.TAG: "tags are segments; nobody is added to one without consent",
    Verb.UNTAG: "tags are segments",
    Verb.SUBSCRIBE: "sends resubscribe for an explicit subscribe() alone",
    Verb.UNSUBSCRIBE: f"no call is documented: {_BY_HAND}",
    Verb.TRACK: "an event told twice is logged twice. The key of its time is unproven: EVENT_TIME_KEY",
    Verb.FORGET: f"no call is documented: {_BY_HAND}",
    Verb.PURCHASE: "ConvertLoop has no purchases: track an event",
}
_BY_PERSON = frozenset({Verb.UNSUBSCRIBE, Verb.FORGET})


class ConvertLoopProvider(Provider[ConvertLoopClient, ConvertLoopOptions]):
    """ConvertLoop (convertloop.co), v1.

    ``UNSUBSCRIBE`` and ``FORGET`` are among the verbs because the plan carries them as far as the service goes; they
    end with a person.
    """

    name = SERVICE
    label = "ConvertLoop"
    default_base_url = BASE_URL
    credential_names = ("APP_ID", "API_KEY")
    option_names = OPTION_NAMES
    # It runs on the site's own pages.
    reserved_options = frozenset({"TRACKING_SCRIPT"})
    verbs = frozenset(
        {
            Verb.SYNC,
            Verb.TAG,
            Verb.UNTAG,
            Verb.SUBSCRIBE,
            Verb.UNSUBSCRIBE,
            Verb.TRACK,
            Verb.FORGET,
        }
    )
    people_per_call = 1

    def check_credentials(self, credentials: Mapping[str, str]) -> None:
        require_credentials(
            credentials, self.credential_names, label=self.label, where="ConvertLoop, Settings > Account"
        )

    def options(self, account: Account) -> ConvertLoopOptions:
        return parse_options(account)

    def client(self, account: Account, *, limiter: RateLimiter, tokens: TokenSource | None = None) -> ConvertLoopClient:
        self.check_credentials(account.credentials)
        return ConvertLoopClient(
            account.credentials["APP_ID"],
            account.credentials["API_KEY"],
            account.base_url or self.default_base_url,
            limiter=limiter,
        )

    def rate_slots(self, account: Account) -> tuple[int, float] | None:
        """None is documented; ``REQUESTS_PER_SECOND`` sets one."""
        rate = parse_options(account).requests_per_second
        return None if rate is None else (rate, 1.0)

    def snapshot(self, profile: Profile, *, user_id: str, options: ConvertLoopOptions) -> Snapshot:
        return normal.snapshot(profile, user_id=user_id)

    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConvertLoopOptions) -> Plan:
        return plan.plan(people)

    def execute(self, call: Call, client: ConvertLoopClient) -> Answer:
        """Make one call. Its status is all that the service tells, so the record holds what was sent."""
        ((key, item),) = call.items.items()
        if call.operation == plan.LOG_EVENT:
            client.log_event(item)
            told = item["person"] if call.patches else None
        else:
            client.identify(item)
            told = item
        return Answer(results={key: Result(record=_contact(told) if told is not None else None)})

    def rides(self, person: Person, options: ConvertLoopOptions) -> bool:
        return plan.riding(person) is not None

    def verify(self, client: ConvertLoopClient, options: ConvertLoopOptions) -> str:
        """``POST /people`` without a person, which the document says is refused (400), and a wrong key before it."""
        try:
            client.identify({})
        except ServiceError as error:
            if error.action is not Action.REJECT:
                raise
        return "the credentials are taken; nothing can be read"

    def plan_event(self, person: Person, event: Event, options: ConvertLoopOptions) -> Call | Verdict:
        """``POST /event_logs``, with what else is to be told of the person. The service knows no keys for events, so a
        repeat would log it twice. Nobody who refused is made by one."""
        if plan.would_be_made(person):
            return plan.WOULD_BE_MADE
        step = plan.riding(person)
        item = {
            "name": event.name,
            options.event_time_key: event.occurred_at,
            "person": plan.event_person(person) if step is None else step.item,
            "metadata": dict(event.data),
        }
        patches = {} if step is None else {person.key: step.patch}
        return Call(operation=plan.LOG_EVENT, items={person.key: item}, patches=patches, repeatable=False)

    def capabilities(self) -> tuple[Capability, ...]:
        return tuple(
            Capability(
                name=verb,
                supported=verb in self.verbs - _BY_PERSON,
                note=_NOTES.get(verb, "ConvertLoop has no such thing"),
            )
            for verb in Verb
        )


def _contact(told: Mapping[str, JSON]) -> ContactRecord:
    email = str(told.get("email", ""))
    return ContactRecord(remote_id=str(told.get("user_id") or told.get("pid") or email), email=email)
