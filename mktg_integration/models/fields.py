"""A field that is encrypted at rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression, Value
from django.db.models.functions import Cast

from mktg_integration import encryption

# Django's fields take type parameters in the stubs alone.
if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class EncryptedJSONField(TextField):
    """A JSON value, encrypted with the first of ``MKTG_INTEGRATION["ENCRYPTION_KEYS"]``.

    Reading with the wrong keys raises ``DecryptionError``; the ciphertext is never returned. It cannot be searched.
    """

    description = "Encrypted JSON"

    def get_prep_value(self, value: Any) -> Any:
        if value in (None, "", {}):
            return ""
        return encryption.encrypt(json.dumps(value, separators=(",", ":"), sort_keys=True))

    def from_db_value(self, value: Any, expression: Expression, connection: BaseDatabaseWrapper) -> Any:
        return json.loads(encryption.decrypt(value)) if value else {}

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            return value or {}
        try:
            return json.loads(value)
        except ValueError:
            # What ``value_to_string`` gave: a fixture is loaded.
            return json.loads(encryption.decrypt(value))

    def value_to_string(self, obj: models.Model) -> str:
        """For ``dumpdata``: the ciphertext, so that a fixture holds no secret."""
        return str(self.get_prep_value(self.value_from_object(obj)))

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and cannot be searched")
        return super().get_lookup(lookup_name)


# Rotation of keys works on what is stored, below the field's own reading and writing.


def encrypted_fields() -> Iterator[tuple[type[models.Model], EncryptedJSONField]]:
    """All encrypted columns of this package."""
    for model in apps.get_app_config("mktg_integration").get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedJSONField):
                yield model, field


def stored_tokens(
    model: type[models.Model], field: EncryptedJSONField, *, batch: int = 500
) -> Iterator[tuple[Any, str]]:
    """``(primary key, ciphertext)`` of each row that has a secret; pages by key, so rows may change meanwhile."""
    rows = _with_token(model, field).exclude(token="").order_by("pk").values_list("pk", "token")
    page = list(rows[:batch])
    while page:
        yield from page
        page = list(rows.filter(pk__gt=page[-1][0])[:batch])


def rotated(
    model: type[models.Model], field: EncryptedJSONField, pk: Any, token: str, *, dry_run: bool = False
) -> bool:
    """Write ``token`` anew under the first key. False where the row has changed meanwhile.

    Raises ``DecryptionError`` where no key of the list can read it.
    """
    new = encryption.rotate(token)
    if dry_run:
        return True
    changed = _with_token(model, field).filter(pk=pk, token=token)
    return bool(changed.update(**{field.name: Value(new, output_field=models.TextField())}))


def _with_token(model: type[models.Model], field: EncryptedJSONField) -> models.QuerySet[Any]:
    return model._default_manager.annotate(token=Cast(field.name, models.TextField()))
