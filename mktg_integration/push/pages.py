"""People by the page: their subjects in the order of their primary keys, so that each page is one look into the index
however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from django.db.models import QuerySet

from mktg_integration.push import outbox


def subject_pages(people: QuerySet[Any], kind: Literal["user", "lead"]) -> Iterator[list[str]]:
    """The subjects of these users or leads, at most ``outbox.PAGE`` at a time."""
    subject = outbox.user_subject if kind == "user" else outbox.lead_subject
    keys = people.order_by("pk").values_list("pk", flat=True)
    page: list[Any] = list(keys[: outbox.PAGE])
    while page:
        yield [subject(pk) for pk in page]
        page = list(keys.filter(pk__gt=page[-1])[: outbox.PAGE])
