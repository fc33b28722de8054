"""People by the page: their subjects in the order of their primary keys, so that each page is one look into the index
however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from mktg_integration.models import Lead
from mktg_integration.people import lead_subject, user_subject
from mktg_integration.push import outbox

Stage = Literal["user", "lead"]


class People(NamedTuple):
    """A page of everybody, and the place after it."""

    stage: Stage
    subjects: list[str]
    last: str
    """Primary key of the last one."""


def subject_pages(people: QuerySet[Any], kind: Stage) -> Iterator[list[str]]:
    """The subjects of these users or leads, at most ``outbox.PAGE`` at a time."""
    for page in _pages(people, kind, None):
        yield page.subjects


def everybody(stage: Stage = "user", after: str | None = None) -> Iterator[People]:
    """All users and then all leads of their own, from the place ``(stage, after)`` on."""
    if stage == "user":
        yield from _pages(_of("user"), "user", after)
        after = None
    yield from _pages(_of("lead"), "lead", after)


def count_everybody() -> int:
    """How many there are. Reads both tables' keys: for tasks, not for pages of a site."""
    return _of("user").count() + _of("lead").count()


def _of(stage: Stage) -> QuerySet[Any]:
    return get_user_model()._default_manager.all() if stage == "user" else Lead.objects.filter(user=None)


def _pages(people: QuerySet[Any], kind: Stage, after: str | None) -> Iterator[People]:
    subject = user_subject if kind == "user" else lead_subject
    keys = people.order_by("pk").values_list("pk", flat=True)
    page: list[Any] = list((keys if after is None else keys.filter(pk__gt=after))[: outbox.PAGE])
    while page:
        yield People(kind, [subject(pk) for pk in page], str(page[-1]))
        page = list(keys.filter(pk__gt=page[-1])[: outbox.PAGE])
