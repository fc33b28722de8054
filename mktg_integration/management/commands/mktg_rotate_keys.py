"""``manage.py mktg_rotate_keys``: all stored secrets under the newest key."""

from __future__ import annotations

from typing import Any

from mktg_integration.encryption import is_current
from mktg_integration.exceptions import DecryptionError
from mktg_integration.management.base import MktgCommand
from mktg_integration.models.fields import encrypted_fields, rotated, stored_tokens


class Command(MktgCommand):
    help = (
        'Encrypt all stored secrets anew with the first of MKTG_INTEGRATION["ENCRYPTION_KEYS"]. Put the new key '
        "first, run this, then take the old key off the list."
    )
    takes_connection = False

    def run(self, *, dry_run: bool, **_: Any) -> dict[str, Any]:
        result: dict[str, dict[str, int]] = {}
        for model, field in encrypted_fields():
            counts = {"rotated": 0, "current": 0, "unreadable": 0}
            label = f"{model._meta.label}.{field.name}"
            progress = self.progress(label, total=None)
            for pk, token in stored_tokens(model, field):
                progress.update()
                counts[self._rotate(model, field, pk, token, dry_run=dry_run)] += 1
            progress.close()
            result[label] = counts
            self.say(f"{label}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
            if counts["unreadable"]:
                self.fail(
                    f"{label}: {counts['unreadable']} cannot be read with any key of the list; put the missing key "
                    "back on it, or enter these secrets again"
                )
        return {"fields": result}

    @staticmethod
    def _rotate(model: Any, field: Any, pk: Any, token: str, *, dry_run: bool) -> str:
        if is_current(token):
            return "current"
        try:
            if not rotated(model, field, pk, token, dry_run=dry_run):
                return "current"  # written anew meanwhile, so with the first key
        except DecryptionError:
            return "unreadable"
        return "rotated"
