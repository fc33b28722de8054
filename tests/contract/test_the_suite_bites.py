"""The suite finds what it is there to find: providers that break one promise each fail the test of that promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from _pytest.outcomes import Failed

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Answer, Call, Catalogue, Intent, Person, Plan, Result
from mktg_integration.providers.convertloop import ConvertLoopClient, ConvertLoopOptions, ConvertLoopProvider
from mktg_integration.records import ContactStatus
from mktg_integration.testing.contract import ProviderContract

from .test_three_providers import TestConvertLoop as _Honest


class MailsEverybody(ConvertLoopProvider):
    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConvertLoopOptions) -> Plan:
        eager = [
            replace(one, explicit=True, wanted=replace(one.wanted, consent=ConsentStatus.GRANTED, evidence="e"))
            if one.wanted is not None
            else one
            for one in people
        ]
        return super().plan(eager, catalogue, options)


class NeverSettles(ConvertLoopProvider):
    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConvertLoopOptions) -> Plan:
        return super().plan([replace(one, sent=None, known=None) for one in people], catalogue, options)


class ForgetsToUnsubscribe(ConvertLoopProvider):
    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConvertLoopOptions) -> Plan:
        staying = [one for one in people if one.intent is Intent.SYNC and one.wanted is not None]
        willing = [one for one in staying if one.wanted and one.wanted.consent is not ConsentStatus.REFUSED]
        return super().plan(willing, catalogue, options)


class Shuffles(ConvertLoopProvider):
    def __init__(self) -> None:
        self.turns = 0

    def plan(self, people: Sequence[Person], catalogue: Catalogue, options: ConvertLoopOptions) -> Plan:
        self.turns += 1
        plan = super().plan(people, catalogue, options)
        return replace(plan, calls=plan.calls[: 1 + self.turns % 2])


class CallsTwice(ConvertLoopProvider):
    def execute(self, call: Call, client: ConvertLoopClient) -> Answer:
        super().execute(call, client)
        return super().execute(call, client)


class TellsTheAddress(ConvertLoopProvider):
    def execute(self, call: Call, client: ConvertLoopClient) -> Answer:
        try:
            return super().execute(call, client)
        except ServiceError as error:
            raise RuntimeError(f"{call.items}") from error


class TakesARefusalForAnOutage(ConvertLoopProvider):
    def execute(self, call: Call, client: ConvertLoopClient) -> Answer:
        try:
            return super().execute(call, client)
        except ServiceError as error:
            error.action = Action.RETRY
            raise


class TakesEveryAnswerForSuccess(ConvertLoopProvider):
    def execute(self, call: Call, client: ConvertLoopClient) -> Answer:
        try:
            return super().execute(call, client)
        except ServiceError:
            return Answer(results=dict.fromkeys(call.items, Result()))


class KeepsItsKeyInSight(ConvertLoopProvider):
    def __repr__(self) -> str:
        return f"<{dict(_Honest.credentials)}>"


class TriesOutOnSomebody(ConvertLoopProvider):
    def verify(self, client: ConvertLoopClient, options: Any) -> str:
        client.identify({"email": "probe@example.com"})
        return "taken"


class TakesAnyKey(ConvertLoopProvider):
    def verify(self, client: ConvertLoopClient, options: Any) -> str:
        with suppress(ServiceError):
            super().verify(client, options)
        return "taken"


Test = Callable[[ProviderContract], Any]
C = ProviderContract

CASES: Mapping[str, tuple[type[ConvertLoopProvider], Test]] = {
    "unknown": (MailsEverybody, lambda s: s.test_nobody_new_is_mailed_without_consent(ConsentStatus.UNKNOWN)),
    "refused": (MailsEverybody, lambda s: s.test_nobody_new_is_mailed_without_consent(ConsentStatus.REFUSED)),
    "opted out": (
        MailsEverybody,
        lambda s: s.test_nobody_who_opted_out_is_brought_back(ContactStatus.UNSUBSCRIBED, ConsentStatus.GRANTED),
    ),
    "settles": (NeverSettles, C.test_a_plan_settles_and_is_then_empty),
    "refuses": (ForgetsToUnsubscribe, C.test_who_refuses_is_unsubscribed_or_handed_to_a_person),
    "leaves": (ForgetsToUnsubscribe, lambda s: s.test_who_leaves_is_unsubscribed_or_handed_to_a_person(Intent.LEAVE)),
    "pure": (Shuffles, C.test_a_plan_speaks_of_its_people_alone_and_does_not_depend_on_their_order),
    "bound": (CallsTwice, lambda s: s.test_new_people_take_no_more_calls_than_promised(3)),
    "secrets": (TellsTheAddress, lambda s: s.test_no_error_tells_a_secret_or_an_address(422)),
    "authentication": (TakesARefusalForAnOutage, C.test_refused_credentials_ask_for_a_person),
    "rate": (TakesARefusalForAnOutage, C.test_the_rate_limit_is_waited_for),
    "lost answer": (
        TakesEveryAnswerForSuccess,
        C.test_an_answer_that_is_lost_leaves_it_open_whether_the_work_was_done,
    ),
    "outage": (TakesEveryAnswerForSuccess, C.test_an_outage_is_tried_again),
    "trying out": (TriesOutOnSomebody, C.test_trying_the_credentials_out_makes_nobody_and_finds_wrong_ones),
    "trying out wrong ones": (TakesAnyKey, C.test_trying_the_credentials_out_makes_nobody_and_finds_wrong_ones),
    "reprs": (KeepsItsKeyInSight, C.test_no_repr_tells_a_secret),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_promise_is_found(case: str) -> None:
    broken, test = CASES[case]

    class Suite(_Honest):
        provider: ClassVar[ConvertLoopProvider] = broken()

    test(_Honest())
    # What is raised is no error of the provider's own, but the suite's word.
    with pytest.raises((AssertionError, Failed)):
        test(Suite())
