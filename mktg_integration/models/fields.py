"""A field that is encrypted at rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

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
        return json.loads(value) if isinstance(value, str) and value else value or {}

    def value_to_string(self, obj: models.Model) -> str:
        """For ``dumpdata``: the ciphertext, so that a fixture holds no secret."""
        return str(self.get_prep_value(self.value_from_object(obj)))

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and cannot be searched")
        return super().get_lookup(lookup_name)
