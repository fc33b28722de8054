"""Kit v4, "Forms" and "Sequences": lists, members, and adding to them, which may start mail."""

from __future__ import annotations

from datetime import date

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, Written, day
from mktg_integration.providers.kit.client.subscribers import STATUSES, checked

_FORM_MEMBERS = "/v4/forms/{form_id}/subscribers"
_SEQUENCE_MEMBERS = "/v4/sequences/{sequence_id}/subscribers"
FORM_STATUSES = ("active", "archived", "trashed", "all")
FORM_TYPES = ("embed", "hosted")


class Members(KitBase):
    def list_forms(
        self,
        *,
        status: str | None = None,
        type: str | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[schemas.Form]:
        """ "List forms" and landing pages. Without ``status`` Kit lists the active ones only."""
        return self._list(
            "/v4/forms",
            schemas.FormPage,
            lambda page: page.forms,
            query={"status": checked("status", status, FORM_STATUSES), "type": checked("type", type, FORM_TYPES)},
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def list_subscribers_of_form(
        self,
        form_id: int | str,
        *,
        status: str | None = None,
        created_after: date | str | None = None,
        created_before: date | str | None = None,
        added_after: date | str | None = None,
        added_before: date | str | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[schemas.AddedSubscriber]:
        """ "List subscribers for a form". Without ``status`` Kit lists the active ones only."""
        return self._members(
            _FORM_MEMBERS,
            {"form_id": form_id},
            status,
            (created_after, created_before, added_after, added_before),
            per_page,
            include_total_count,
        )

    def add_to_form(self, form_id: int | str, subscriber_id: int | str) -> Written[schemas.AddedSubscriber]:
        """ "Add subscriber to form"; ``created`` is False where the subscriber had been added before."""
        return self._add(_FORM_MEMBERS + "/{id}", {"form_id": form_id, "id": subscriber_id}, {})

    def add_to_form_by_email(self, form_id: int | str, email_address: str) -> Written[schemas.AddedSubscriber]:
        """ "Add subscriber to form by email address"."""
        return self._add(_FORM_MEMBERS, {"form_id": form_id}, {"email_address": email_address})

    def list_sequences(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.Sequence]:
        """ "List sequences"."""
        return self._list(
            "/v4/sequences",
            schemas.SequencePage,
            lambda page: page.sequences,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def list_subscribers_of_sequence(
        self,
        sequence_id: int | str,
        *,
        status: str | None = None,
        created_after: date | str | None = None,
        created_before: date | str | None = None,
        added_after: date | str | None = None,
        added_before: date | str | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[schemas.AddedSubscriber]:
        """ "List subscribers for a sequence". Without ``status`` Kit lists the active ones only."""
        return self._members(
            _SEQUENCE_MEMBERS,
            {"sequence_id": sequence_id},
            status,
            (created_after, created_before, added_after, added_before),
            per_page,
            include_total_count,
        )

    def add_to_sequence(self, sequence_id: int | str, subscriber_id: int | str) -> Written[schemas.AddedSubscriber]:
        """ "Add subscriber to sequence"; ``created`` is False where the subscriber had been added before."""
        return self._add(_SEQUENCE_MEMBERS + "/{id}", {"sequence_id": sequence_id, "id": subscriber_id}, {})

    def add_to_sequence_by_email(self, sequence_id: int | str, email_address: str) -> Written[schemas.AddedSubscriber]:
        """ "Add subscriber to sequence by email address"."""
        return self._add(_SEQUENCE_MEMBERS, {"sequence_id": sequence_id}, {"email_address": email_address})

    def _members(
        self,
        template: str,
        path: dict[str, object],
        status: str | None,
        days: tuple[date | str | None, date | str | None, date | str | None, date | str | None],
        per_page: int | None,
        include_total_count: bool,
    ) -> Listing[schemas.AddedSubscriber]:
        names = ("created_after", "created_before", "added_after", "added_before")
        return self._list(
            template,
            schemas.AddedSubscriberPage,
            lambda page: page.subscribers,
            path=path,
            query={
                "status": checked("status", status, STATUSES),
                **{name: day(value) for name, value in zip(names, days, strict=True)},
            },
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def _add(self, template: str, path: dict[str, object], body: dict[str, str]) -> Written[schemas.AddedSubscriber]:
        answer, status = self._send(
            "POST", template, schemas.AddedSubscriberAnswer, path=path, json=body, expect=(200, 201)
        )
        return Written(answer.subscriber, status)
