"""An account at Conversion that does what the documents say, behind the client's methods instead of HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.profile import normal_email
from mktg_integration.providers.conversion.errors import CODES
from mktg_integration.providers.conversion.schemas import BatchItem, Upserted, V1Contact, V1Upserted

OUT = frozenset({"UNSUBSCRIBED", "BOUNCED", "COMPLAINED"})


@dataclass
class Kept:
    id: str
    email: str
    status: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    company: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    brought_back: bool = False
    """SUBSCRIBED was said over an opt-out."""


class Account:
    """``known_fields``: field keys that exist (None: all). ``lets_into_v1``: the key may use v1."""

    def __init__(self, *, known_fields: frozenset[str] | None = None, lets_into_v1: bool = True) -> None:
        self.contacts: dict[str, Kept] = {}
        self.companies: dict[str, dict[str, Any]] = {}
        self.requests: Counter[str] = Counter()
        self.removed: list[str] = []
        self._ids = count(1)
        self.v1_is_refused = False
        self.known_fields = known_fields
        self.lets_into_v1 = lets_into_v1

    def add(self, email: str, status: str | None = None, **fields: Any) -> Kept:
        kept = Kept(id=f"c{next(self._ids)}", email=email, status=status, fields=fields)
        self.contacts[kept.id] = kept
        return kept

    def at(self, email: str) -> Kept | None:
        return next((one for one in self.contacts.values() if normal_email(one.email) == normal_email(email)), None)

    # v2

    def upsert_contact(self, contact: Mapping[str, Any], **flags: bool) -> Upserted:
        self.requests["upsert_contact"] += 1
        return self._upsert(contact, **flags)

    def upsert_contacts(self, contacts: Sequence[Mapping[str, Any]], **flags: bool) -> list[BatchItem]:
        self.requests["upsert_contacts"] += 1
        assert 1 <= len(contacts) <= 1000
        results = []
        for contact in contacts:
            try:
                done = self._upsert(contact, **flags)
            except ServiceError as error:
                found = {"success": False, "error": {"code": error.code, "message": "; ".join(error.messages)}}
                results.append(BatchItem.model_validate(found))
            else:
                results.append(BatchItem(success=True, cnvContactId=done.contact_id, contactCreated=done.created))
        return results

    def _upsert(self, contact: Mapping[str, Any], **flags: bool) -> Upserted:
        assert set(contact) <= {"email", "cnvContactId", "subscriptionStatus", "fields", "companyFields"}
        assert set(flags) <= {"updateOnly", "syncToCRM", "preserveExistingFields"}
        assert contact.get("subscriptionStatus") in (None, "SUBSCRIBED", "UNSUBSCRIBED")
        if "@" not in contact.get("email", "@"):
            raise refused(400, "invalid_email")
        unknown = set(contact.get("fields", ())) - (self.known_fields or set(contact.get("fields", ())))
        if unknown:
            raise refused(400, "invalid_field", f"Field {min(unknown)} does not exist")
        by_email = self.at(contact["email"]) if "email" in contact else None
        kept = self.contacts.get(contact["cnvContactId"]) if "cnvContactId" in contact else by_email
        created = kept is None
        if kept is None:
            if flags.get("updateOnly") or "cnvContactId" in contact:
                raise refused(404, "contact_not_found")
            kept = self.add(contact["email"])
        elif by_email is not None and by_email is not kept:
            raise refused(400, "upsert_failed", "the upsert failed")
        kept.email = contact.get("email", kept.email)
        kept.fields.update(contact.get("fields", {}))
        kept.company.update(contact.get("companyFields", {}))
        self._set_status(kept, contact.get("subscriptionStatus"))
        return Upserted(cnvContactId=kept.id, contactCreated=created)

    # v1

    def v1_upsert_contacts(self, contacts: Sequence[Mapping[str, Any]]) -> list[V1Upserted]:
        self._enter_v1("v1_upsert_contacts")
        results = []
        for contact in contacts:
            assert set(contact) <= {"email", "variables", "externalContact"}
            kept = self.at(contact["email"])
            operation = "updated" if kept else "created"
            kept = kept or self.add(contact["email"])
            kept.fields.update(contact.get("variables", {}))
            kept.reference = contact.get("externalContact", kept.reference)
            results.append(V1Upserted(email=kept.email.lower(), contactId=kept.id, operation=operation))
        return results[::-1]

    def v1_contact(self, email: str) -> V1Contact:
        self._enter_v1("v1_contact")
        kept = self._of(email)
        return V1Contact(id=kept.id, email=kept.email, variables=kept.fields, subscriptionStatus=kept.status)

    def v1_delete_contact(self, email: str) -> None:
        self._enter_v1("v1_delete_contact")
        del self.contacts[self._of(email).id]
        self.removed.append(email)

    def v1_set_statuses(self, contacts: Sequence[Mapping[str, str]]) -> Any:
        self._enter_v1("v1_set_statuses")
        failed = []
        for contact in contacts:
            kept = self.at(contact["email"])
            if kept is None:
                failed.append({"email": contact["email"], "success": False, "error": {"code": "NOT_FOUND"}})
            else:
                self._set_status(kept, contact["subscriptionStatus"])
        return failed

    def v1_upsert_companies(self, companies: Sequence[Mapping[str, Any]]) -> None:
        self._enter_v1("v1_upsert_companies")
        for company in companies:
            assert set(company) <= {"id", "baseDomain", "variables"}
            self.companies[company["id"]] = dict(company)

    def _enter_v1(self, name: str) -> None:
        self.requests[name] += 1
        if not self.lets_into_v1:
            raise refused(401, "UNAUTHORIZED", action=Action.RECONNECT)

    def _of(self, email: str) -> Kept:
        kept = self.at(email)
        if kept is None:
            raise refused(404, "NOT_FOUND", "Contact not found")
        return kept

    @staticmethod
    def _set_status(kept: Kept, status: str | None) -> None:
        if status is None:
            return
        kept.brought_back |= status == "SUBSCRIBED" and kept.status in OUT
        kept.status = status


def refused(status: int, code: str, message: str = "", *, action: Action | None = None) -> ServiceError:
    return ServiceError(
        service="conversion",
        endpoint="POST /v2/contacts",
        action=action or CODES[code],
        status=status,
        code=code,
        messages=(message,) if message else (),
    )
