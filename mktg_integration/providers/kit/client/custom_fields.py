"""Kit v4, "Custom Fields"."""

from __future__ import annotations

from collections.abc import Iterable

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, parsed

_ALL = "/v4/custom_fields"
_ONE = "/v4/custom_fields/{id}"
_BULK = "/v4/bulk/custom_fields"


class CustomFields(KitBase):
    def list_custom_fields(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.CustomField]:
        """ "List custom fields"."""
        return self._list(
            _ALL,
            schemas.CustomFieldPage,
            lambda page: page.custom_fields,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def create_custom_field(self, label: str) -> schemas.CustomField:
        """ "Create a custom field"; Kit makes its key of the label. A label that exists is a 422 (``ServiceError``)."""
        answer, _ = self._send("POST", _ALL, schemas.CustomFieldAnswer, json={"label": label}, expect=(200, 201))
        return answer.custom_field

    def update_custom_field(self, custom_field_id: int | str, label: str) -> schemas.CustomField:
        """ "Update a custom field". The key changes with the label, and emails that name the old key break."""
        path = {"id": custom_field_id}
        body = {"label": label}
        answer, _ = self._send("PUT", _ONE, schemas.CustomFieldAnswer, path=path, json=body, expect=(200,))
        return answer.custom_field

    def delete_custom_field(self, custom_field_id: int | str) -> None:
        """ "Delete custom field": removes its values from all subscribers."""
        self._drop(_ONE, path={"id": custom_field_id})

    def bulk_create_custom_fields(
        self, labels: Iterable[str], *, callback_url: str | None = None
    ) -> schemas.BulkCustomFields | None:
        """ "Bulk create custom fields" (OAuth only). A label that exists is a failure that carries the existing field.

        More than 100 are processed later: then the answer is None, and comes to ``callback_url`` if one is given.
        """
        body = {"custom_fields": [{"label": label} for label in labels], "callback_url": callback_url}
        answer = self._request("POST", _BULK, json=body, expect=(200, 202))
        return None if answer.status == 202 else parsed(schemas.BulkCustomFields, answer, f"POST {_BULK}")
