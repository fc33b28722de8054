"""The suite that every provider passes: inherit it, give it your provider and a stand-in for its service.

::

    class TestAcme(ProviderContract):
        provider = AcmeProvider()
        credentials = {"API_KEY": "key-of-acme"}
        unauthorized = Canned(401, {"error": "unknown key"})
        invalid = Canned(422, {"error": "the address is malformed"})

        def stand_in(self) -> StandIn:
            return AcmeInMemory()
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
import requests

from mktg_integration.exceptions import Action, ConfigurationError, ServiceError, UnsupportedError
from mktg_integration.http import Unlimited
from mktg_integration.profile import Consent, ConsentStatus, Profile
from mktg_integration.providers.base import (
    Account,
    Call,
    Catalogue,
    Event,
    Intent,
    Outcome,
    Person,
    Provider,
    Verb,
    VerdictKind,
)
from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.testing.rounds import Settled, settle
from mktg_integration.testing.standin import Canned, StandIn, Wire, always, wired

WHEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
ADDRESS = "jane.doe@example.com"
TAG = "News"
ALL = tuple(ContactStatus)


@dataclass(frozen=True, slots=True)
class Pages:
    """What a stream's list answers: with nothing in it, with a page after it, and as its last page."""

    empty: Canned
    first: Canned
    last: Canned


class ProviderContract:
    """Inherit it in a class whose name starts with ``Test``, and set what has no default."""

    provider: ClassVar[Provider[Any, Any]]
    credentials: ClassVar[Mapping[str, str]]
    """Complete; made up, and long enough to be looked for in texts."""
    options: ClassVar[Mapping[str, Any]] = {}
    unauthorized: ClassVar[Canned] = Canned(401)
    rate_limited: ClassVar[Canned] = Canned(429, headers={"Retry-After": "7"})
    invalid: ClassVar[Canned]
    """Refuses one person's data, by the service's own error."""
    refused_batch: ClassVar[Canned | None] = None
    """Refuses a whole batch for one of its people; None: ``invalid`` does."""
    pages: ClassVar[Mapping[str, Pages]] = {}
    """By stream, of a service that has lists."""

    def stand_in(self) -> StandIn:
        """A new, empty stand-in for the service."""
        raise NotImplementedError

    def most_calls(self, people: int) -> int:
        """How many calls may bring so many new people, with names and consent, to the service."""
        return math.ceil(people / self.provider.people_per_call)

    # Helpers

    @property
    def account(self) -> Account:
        return Account(
            name="contract",
            base_url=self.provider.default_base_url,
            credentials=dict(self.credentials),
            options=dict(self.options),
        )

    @property
    def parsed(self) -> Any:
        return self.provider.options(self.account)

    @property
    def client(self) -> Any:
        return self.provider.client(self.account, limiter=Unlimited())

    def person(
        self,
        number: int = 1,
        *,
        consent: ConsentStatus = ConsentStatus.GRANTED,
        tags: Collection[str] = (),
        email: str = "",
        **more: Any,
    ) -> Person:
        """Somebody who is wanted at the service."""
        said = Consent(consent, "the person", WHEN, "form") if consent is not ConsentStatus.UNKNOWN else Consent()
        profile = Profile(
            email=email or f"p{number}@example.com", first_name=f"Name{number}", tags=frozenset(tags), consent=said
        )
        wanted = self.provider.snapshot(profile.checked(), user_id=str(number), options=self.parsed)
        return Person(key=f"user:{number}", email=profile.email, wanted=wanted, **more)

    def leaver(self, known: ContactRecord, intent: Intent) -> Person:
        """Somebody of whom everything was sent, and who is now to leave."""
        before = self.person(email=known.email)
        assert before.wanted is not None
        sent = replace(before.wanted, consent=ConsentStatus.GRANTED)
        return replace(before, wanted=None, sent=sent, known=known, intent=intent)

    def settle(self, people: Sequence[Person], **more: Any) -> Settled:
        return settle(self.provider, people, self.client, self.parsed, **more)

    @contextmanager
    def service(self) -> Iterator[tuple[StandIn, Wire]]:
        stand_in = self.stand_in()
        with wired(stand_in.answer) as wire:
            yield stand_in, wire

    def first_call(self, people: Sequence[Person]) -> Call:
        calls = self.provider.plan(people, Catalogue(), self.parsed).calls
        assert calls, "nothing is planned for somebody new"
        return next((call for call in calls if call.items), calls[0])

    def failed(self, canned: Canned, **person: Any) -> ServiceError:
        """The error of a call that is answered so."""
        call = self.first_call([self.person(**person)])
        with wired(always(canned)), pytest.raises(ServiceError) as raised:
            self.provider.execute(call, self.client)
        return raised.value

    # What it says of itself

    def test_it_names_itself(self) -> None:
        provider = self.provider
        assert provider.name == provider.name.lower()
        assert provider.label
        assert provider.default_base_url.startswith("https://")
        assert all(name == name.upper() for name in (*provider.credential_names, *provider.option_names))
        assert set(self.credentials) <= set(provider.credential_names)
        assert provider.people_per_call >= 1

    def test_it_says_what_it_can_do(self) -> None:
        told = {capability.name: capability for capability in self.provider.capabilities()}
        assert set(told) >= set(self.provider.verbs)
        assert {name for name, capability in told.items() if capability.supported} <= set(self.provider.verbs)
        silent = [name for name in Verb if name in told and not told[name].supported and not told[name].note]
        assert silent == [], "say in a note what is done in place of it, or that there is no such thing"

    def test_missing_credentials_are_named(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            self.provider.check_credentials({})
        assert any(name in str(raised.value) for name in self.provider.credential_names)
        self.provider.check_credentials(self.credentials)

    def test_the_documented_rate_is_a_number_of_requests_and_seconds(self) -> None:
        rate = self.provider.rate_slots(self.account)
        assert rate is None or (rate[0] >= 1 and rate[1] > 0)

    # What fails

    def test_refused_credentials_ask_for_a_person(self) -> None:
        error = self.failed(self.unauthorized)
        assert error.action is Action.RECONNECT

    def test_the_rate_limit_is_waited_for(self) -> None:
        error = self.failed(self.rate_limited)
        assert error.action is Action.WAIT
        given = self.rate_limited.headers.get("Retry-After")
        assert error.retry_after == (float(given) if given is not None else None)

    def test_trying_the_credentials_out_makes_nobody_and_finds_wrong_ones(self) -> None:
        with self.service() as (stand_in, _):
            try:
                assert self.provider.verify(self.client, self.parsed)
            except UnsupportedError:
                return
            assert list(stand_in.addresses()) == []
        with wired(always(self.unauthorized)), pytest.raises(ServiceError) as raised:
            self.provider.verify(self.client, self.parsed)
        assert raised.value.action is Action.RECONNECT

    def test_an_outage_is_tried_again(self) -> None:
        assert self.failed(Canned(503, body="down")).action is Action.RETRY

    def test_an_answer_that_is_lost_leaves_it_open_whether_the_work_was_done(self) -> None:
        call = self.first_call([self.person()])
        with self.service() as (_, wire):
            wire.is_cut = True
            with pytest.raises(ServiceError) as raised:
                self.provider.execute(call, self.client)
        assert (raised.value.action, raised.value.answered) == (Action.RETRY, False)

    def test_after_a_lost_answer_nobody_is_there_twice(self) -> None:
        with self.service() as (stand_in, wire):
            call = self.first_call([self.person()])
            assert call.repeatable
            wire.is_cut = True
            with pytest.raises(ServiceError):
                self.provider.execute(call, self.client)
            wire.is_cut = False
            self.settle([self.person()])
            assert sorted(stand_in.addresses()) == ["p1@example.com"]

    def test_an_answer_in_another_form_is_no_success(self) -> None:
        """An HTML page of a proxy, with a status of success."""
        call = self.first_call([self.person()])
        page = Canned(200, body="<html>welcome</html>", headers={"Content-Type": "text/html"})
        with wired(always(page)):
            try:
                answer = self.provider.execute(call, self.client)
            except Exception as error:  # noqa: BLE001 (any error of the package's)
                assert type(error).__module__.startswith("mktg_integration")  # noqa: PT017
            else:
                assert not any(result.record and result.record.raw for result in answer.results.values())

    def test_data_that_is_refused_kills_one_person_with_a_reason(self) -> None:
        with wired(always(self.invalid)):
            out = self.settle([self.person(email=ADDRESS)])
        result = out.ended["user:1"]
        assert result.outcome is Outcome.REJECTED
        assert result.reason or result.code
        assert ADDRESS not in result.reason

    def test_a_refused_batch_is_cut_until_only_the_bad_one_is_left(self) -> None:
        number, bad = 9, "bad@example.com"
        people = [self.person(n) for n in range(number)] + [self.person(99, email=bad)]
        refusal = self.refused_batch or self.invalid
        stand_in = self.stand_in()

        def answer(request: requests.PreparedRequest) -> Canned:
            return refusal if bad in _said(request) else stand_in.answer(request)

        with wired(answer):
            out = self.settle(people, most_rounds=8)
        assert sorted(stand_in.addresses()) == sorted(f"p{n}@example.com" for n in range(number))
        assert set(out.ended) == {"user:99"}

    # Secrets

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 200])
    def test_no_error_tells_a_secret_or_an_address(self, status: int) -> None:
        echo = Canned(status, {"success": False, "message": f"{ADDRESS} is wrong", "errors": [f"{ADDRESS} is wrong"]})
        call = self.first_call([self.person(email=ADDRESS)])
        told = ""
        with wired(always(echo)):
            try:
                answer = self.provider.execute(call, self.client)
            except Exception as error:  # noqa: BLE001
                # Without source lines and values of locals, as a log has it.
                told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
            else:
                told = "".join(result.reason + result.code for result in answer.results.values())
        assert [secret for secret in (*self.credentials.values(), ADDRESS) if secret in told] == []

    def test_no_repr_tells_a_secret(self) -> None:
        told = "".join(map(repr, (self.account, self.client, self.parsed, self.provider)))
        assert [secret for secret in self.credentials.values() if secret in told] == []

    # Plans

    @pytest.mark.parametrize("number", [1, 3, 110])
    def test_new_people_take_no_more_calls_than_promised(self, number: int) -> None:
        with self.service() as (stand_in, wire):
            self.settle([self.person(n) for n in range(number)])
            assert len(stand_in.addresses()) == number
            assert len(wire.made) <= self.most_calls(number)

    def test_a_call_carries_no_more_people_than_it_says(self) -> None:
        people = [self.person(n) for n in range(2 * self.provider.people_per_call + 1)]
        plan = self.provider.plan(people, Catalogue(), self.parsed)
        assert max(len(call.items) for call in plan.calls) <= self.provider.people_per_call

    def test_a_plan_speaks_of_its_people_alone_and_does_not_depend_on_their_order(self) -> None:
        people = [self.person(n, tags=[TAG]) for n in range(5)]
        plan = self.provider.plan(people, Catalogue(), self.parsed)
        again = self.provider.plan(people, Catalogue(), self.parsed)
        assert plan == again
        for call in plan.calls:
            assert set(call.items) <= {person.key for person in people}
            assert set(call.patches) <= set(call.items)
            assert set(call.only(list(call.items)[:1]).items) == set(list(call.items)[:1])
        turned = self.provider.plan(people[::-1], Catalogue(), self.parsed)
        assert {key for call in turned.calls for key in call.items} == {key for c in plan.calls for key in c.items}

    def test_a_plan_settles_and_is_then_empty(self) -> None:
        people = [self.person(n, tags=[TAG], consent=consent) for n, consent in enumerate(ConsentStatus)]
        with self.service() as (_, wire):
            out = self.settle(people)
            made = len(wire.made)
            still = [p for p in out.people.values() if p.wanted and p.wanted.consent is not ConsentStatus.REFUSED]
            plan = self.provider.plan(still, out.catalogue, self.parsed)
            assert plan.calls == ()
            assert len(wire.made) == made

    def test_what_was_sent_can_be_kept_as_json(self) -> None:
        wanted = self.person(tags=[TAG]).wanted
        assert wanted is not None
        for part in (dict(wanted.values), dict(wanted.company), sorted(wanted.tags)):
            assert json.loads(json.dumps(part)) == part

    # Consent

    @pytest.mark.parametrize("consent", [ConsentStatus.UNKNOWN, ConsentStatus.REFUSED])
    def test_nobody_new_is_mailed_without_consent(self, consent: ConsentStatus) -> None:
        with self.service() as (stand_in, _):
            self.settle([self.person(consent=consent, tags=[TAG])])
            assert list(stand_in.mailable()) == []

    def test_somebody_new_who_agreed_is_mailed(self) -> None:
        with self.service() as (stand_in, _):
            self.settle([self.person(tags=[TAG])])
            assert list(stand_in.mailable()) == ["p1@example.com"]

    @pytest.mark.parametrize("consent", list(ConsentStatus))
    @pytest.mark.parametrize("status", [status for status in ALL if status.opted_out])
    def test_nobody_who_opted_out_is_brought_back(self, status: ContactStatus, consent: ConsentStatus) -> None:
        with self.service() as (stand_in, _):
            known = stand_in.hold("p1@example.com", status)
            self.settle([self.person(consent=consent, tags=[TAG], known=known)])
            assert list(stand_in.mailable()) == []

    def test_what_was_granted_once_is_not_granted_again(self) -> None:
        with self.service() as (stand_in, _):
            (person,) = self.settle([self.person(tags=[TAG])]).people.values()
            assert person.sent is not None
            stand_in.lose("p1@example.com")
            known = stand_in.hold("p1@example.com", ContactStatus.UNSUBSCRIBED)
            assert person.wanted is not None
            later = replace(person, known=known, wanted=replace(person.wanted, values={**person.wanted.values}))
            self.settle([later])
            assert list(stand_in.mailable()) == []

    def test_who_refuses_is_unsubscribed_or_handed_to_a_person(self) -> None:
        with self.service() as (stand_in, _):
            known = stand_in.hold("p1@example.com", ContactStatus.ACTIVE)
            refusing = self.person(consent=ConsentStatus.REFUSED, known=known)
            self._has_left(stand_in, self.settle([refusing]))

    @pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.FORGET])
    def test_who_leaves_is_unsubscribed_or_handed_to_a_person(self, intent: Intent) -> None:
        with self.service() as (stand_in, _):
            leaver = self.leaver(stand_in.hold("p1@example.com", ContactStatus.ACTIVE), intent)
            out = self.settle([leaver])
            self._has_left(stand_in, out)
            if intent is Intent.FORGET and "user:1" not in out.verdicts:
                assert list(stand_in.addresses()) == []

    def _has_left(self, stand_in: StandIn, out: Settled) -> None:
        verdict = out.verdicts.get("user:1")
        if verdict is not None:
            assert verdict.kind is VerdictKind.NEEDS_PERSON
            assert verdict.reason
        else:
            assert list(stand_in.mailable()) == []
        assert all(call.urgent for call in out.calls if "unsubscribe" in call.operation)

    def test_who_is_not_wanted_any_more_and_was_never_sent_is_told_nothing(self) -> None:
        person = Person(key="user:1", email="p1@example.com", intent=Intent.WITHDRAW)
        assert self.provider.plan([person], Catalogue(), self.parsed).calls == ()

    # Contacts that are gone

    @pytest.mark.parametrize("intent", [Intent.SYNC, Intent.LEAVE, Intent.FORGET])
    def test_a_contact_that_is_gone_holds_up_nobody(self, intent: Intent) -> None:
        with self.service() as (stand_in, _):
            known = stand_in.hold("p1@example.com", ContactStatus.ACTIVE)
            other = stand_in.hold("p2@example.com", ContactStatus.ACTIVE)
            stand_in.lose("p1@example.com")
            if intent is Intent.SYNC:
                people = [self.person(known=known), self.person(2, known=other)]
            else:
                people = [self.leaver(known, intent)]
            out = self.settle(people, most_rounds=8)
            assert not out.ended

    # Events

    def test_an_event_is_one_call_or_unsupported(self) -> None:
        event = Event(key="order-1", name="ordered", occurred_at="2026-11-01T10:00:00Z", data={"total": 5})
        with self.service() as (_, wire):
            (person,) = self.settle([self.person()]).people.values()
            made = len(wire.made)
            if Verb.TRACK not in self.provider.verbs:
                with pytest.raises(UnsupportedError):
                    self.provider.plan_event(person, event, self.parsed)
                return
            call = self.provider.plan_event(person, event, self.parsed)
            assert isinstance(call, Call), "an event of somebody who is there is told"
            assert list(call.items) == [person.key]
            answer = self.provider.execute(call, self.client)
            assert answer.results[person.key].outcome is Outcome.DONE
            assert len(wire.made) == made + 1

    # Lists

    def test_lists_end_where_the_service_says(self) -> None:
        names = {spec.name for spec in self.provider.streams(self.parsed) if not spec.parent}
        assert set(self.pages) <= names, "pages are given of a stream that there is not"
        for stream, pages in self.pages.items():
            with wired(always(pages.empty)):
                page = self.provider.read(stream, None, self.client)
            assert (list(page.records), page.cursor) == ([], None)
            with wired(always(pages.first)):
                first = self.provider.read(stream, None, self.client)
            assert first.records
            assert first.cursor is not None
            with wired(always(pages.last)) as wire:
                last = self.provider.read(stream, first.cursor, self.client)
            assert last.cursor is None
            assert first.cursor in _said(wire.made[0])

    def test_a_list_that_there_is_not_is_unsupported(self) -> None:
        with wired(always(Canned(500))), pytest.raises(UnsupportedError):
            self.provider.read("no_such_list", None, self.client)


def _said(request: requests.PreparedRequest) -> str:
    """Address and body."""
    body = request.body or b""
    return f"{unquote(request.url or '')} {body.decode() if isinstance(body, bytes) else body}"
