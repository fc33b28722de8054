"""What a person can do about each reason for which something could not be sent, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

UNREADABLE: Final = "unreadable_payload"
"""The code of a row whose payload no key of the site can decrypt."""

_WRONG_ADDRESS = _("Correct the person's email address on the site, then replay.")
_LOST = _(
    "The service's answer was lost, so it may have been carried out. Look at the service: where it is missing, replay; "
    "where it is there, say that it is done."
)
_NO_SUCH = _("Make it at the service under just this name, or correct the name in the site's code, then replay.")
_NOT_THERE = _(
    "The service does not know the contact any more. Have the person sent again; if the service deleted the contact on "
    "purpose, discard the row."
)
_OUR_DATA = _(
    "The service does not take a value as the site gives it. The reason names what is wrong: correct it at the person "
    "or in the mapping, then replay."
)
_PASSING = _("The trouble was at the service and may be over: replay. If it comes back, tell the service's support.")

BY_CODE: Final[Mapping[str, Promise]] = {
    # The site's own side
    "invalid_profile": _("Correct what the reason names at the person or in the mapping, then replay."),
    "mapping_failed": _(
        "The mapping, a function of the site's code, raised an error for this person. Have a developer correct it, "
        "then replay."
    ),
    "duplicate_address": _(
        "Two people of the site have one address, and a contact belongs to one of them. Correct or remove one of the "
        "two accounts, then replay."
    ),
    "mass_unsubscribe": _(
        "So many unsubscribes and erasures at once may be a mistake, in the mapping or in an import. Look at some of "
        "these people: if it is right, confirm; if not, correct the cause and discard the rows."
    ),
    "unreadable_payload": _(
        "What is stored cannot be decrypted. Put the key that it was written with back on ENCRYPTION_KEYS, then "
        "replay. If the key is lost, do by hand what the row asked for, if that is known, and discard it."
    ),
    "unsupported": _("The service cannot do this at all: discard the row, and take the call out of the site's code."),
    # People whom the service wants to have a person's hand
    "erase_by_hand": _(
        "The service's API cannot delete this contact. Open the row to see the address, delete the contact in the "
        "service's own pages, then say that it is done."
    ),
    "delete_by_hand": _(
        "The service's API cannot delete this contact. Open the row to see the address, delete the contact in the "
        "service's own pages, then say that it is done."
    ),
    "unsubscribe_by_hand": _(
        "The service's API cannot unsubscribe. Unsubscribe the person in the service's own pages, then say that it is "
        "done."
    ),
    "in_doubt": _LOST,
    "purchase_in_doubt": _LOST,
    # Refusals
    "invalid_email": _WRONG_ADDRESS,
    "missing_identifier": _WRONG_ADDRESS,
    "invalid_subscription_status": _OUR_DATA,
    "VALIDATION_ERROR": _OUR_DATA,
    "refused": _OUR_DATA,
    "rejected": _OUR_DATA,
    "left_out": _OUR_DATA,
    "fields_ignored": _OUR_DATA,
    "invalid_field": _(
        "The account has no such field, or cannot write it. Create it at the service, or take it out of the mapping, "
        "then replay."
    ),
    "name_refused": _("The service refuses the name of a tag or of a field. Change it in the site, then replay."),
    "no_such_form": _NO_SUCH,
    "no_such_sequence": _NO_SUCH,
    "no_such_tag": _("The tag was deleted at the service: make a new one, or discard the row."),
    "may_not_be_mailed": _(
        "The person has not agreed to mail, or has opted out. Only the person can change that: let them subscribe "
        "again, then replay; else discard the row."
    ),
    "no_contact": _(
        "The service has no contact of this person, so nothing can be told of them. See on the person's page why "
        "their profile is not sent, correct that, then replay; else discard the row."
    ),
    "contact_not_found": _NOT_THERE,
    "NOT_FOUND": _NOT_THERE,
    "DUPLICATE_ERROR": _(
        "Another contact at the service has this address or id. Merge the two there, or correct the person's address, "
        "then replay."
    ),
    "address_not_changed": _(
        "The service keeps the old address. Change it in the service's own pages, or correct it on the site, then "
        "replay."
    ),
    # Passing trouble
    "not_answered": _PASSING,
    "not_returned": _PASSING,
    "not_listed": _PASSING,
    "no_contact_id": _PASSING,
    "ambiguous_answer": _PASSING,
    "tag_or_subscriber_gone": _("A pull brings tags and contacts up to date: start one, then replay."),
    "no_progress": _PASSING,
    "upsert_failed": _PASSING,
    "internal_error": _PASSING,
    "INTERNAL_ERROR": _PASSING,
}
"""By ``DeadRow.code``."""

BY_PROVIDER: Final[Mapping[tuple[str, str], Promise]] = {
    ("kit", "erase_by_hand"): _(
        "Kit's API cannot delete subscribers; this one is unsubscribed already. Open the row to see the address, "
        "delete the subscriber in Kit's own pages, then say that it is done."
    ),
    ("conversion", "erase_by_hand"): _(
        "The API key may not delete contacts; this one is unsubscribed already. Give the key that right and replay, "
        "or open the row to see the address, delete the contact in Conversion's own pages, and say that it is done."
    ),
    ("convertloop", "delete_by_hand"): _(
        "ConvertLoop has no call that deletes. Open the row to see the address, delete the person in ConvertLoop's own "
        "pages, then say that it is done."
    ),
    ("convertloop", "unsubscribe_by_hand"): _(
        "ConvertLoop has no call that unsubscribes. Unsubscribe the person in ConvertLoop's own pages, then say that "
        "it is done."
    ),
    ("kit", "purchase_in_doubt"): _(
        "Look for the transaction in Kit: where Kit does not have it, replay; where it does, say that it is done."
    ),
}

BY_STATUS: Final[Mapping[int, Promise]] = {
    400: _OUR_DATA,
    401: _("Connect the account again, then replay."),
    402: _("The account's plan does not allow this: see to the plan at the service, then replay."),
    403: _("The account may not do this: see to its plan and to the credential's rights at the service, then replay."),
    404: _NOT_THERE,
    409: _(
        "It contradicts what the service has, such as another contact with the same address: correct one of the two, "
        "then replay."
    ),
    413: _("It is too large for the service: make it smaller, then replay."),
    422: _OUR_DATA,
    429: _("The service was asked too often: replay later."),
}

PASSING: Final = _PASSING
OTHERWISE: Final = _(
    "Read the reason: correct at the person, in the mapping or at the service what it names, then replay; discard the "
    "row where nobody needs it any more."
)


def remedy(provider: str, code: str, status: int | None = None) -> str:
    """What to do about a row with this code, in the visitor's language. Services bring codes of their own, for which
    the HTTP status decides."""
    found = BY_PROVIDER.get((provider, code)) or BY_CODE.get(code)
    if found is None and status is None and code.startswith("http_") and code[5:].isdigit():
        status = int(code[5:])
    if found is None and status is not None:
        found = PASSING if status >= 500 else BY_STATUS.get(status)
    return str(found or OTHERWISE)
