"""What was noted at work, in the reader's language.

Engines and providers note in English why a row was rejected, a run has ended or a connection waits, and it is stored as
it was noted. ``worded`` finds such a sentence again, with the names and numbers in it. What is not listed here, above
all a service's own words, stays as it is.
"""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

NOTED = (
    # The engines
    gettext_noop("sending is switched off"),
    gettext_noop("the connection is paused"),
    gettext_noop("the connection is a dry run: nothing is sent"),
    gettext_noop("the connection is a dry run: nobody was marked and nothing is sent"),
    gettext_noop("{count} are tried again later"),
    gettext_noop(
        "its payload cannot be decrypted: put the key that it was written with back on ENCRYPTION_KEYS, then replay"
    ),
    gettext_noop("linked to the contact that already had the address; contact {contact} is left"),
    gettext_noop("{count} rejections in a row: {reason}"),
    gettext_noop("{count} people in a row: {reason}"),
    gettext_noop("the documented rate is used up"),
    gettext_noop("what the service answers does not bring the plan to an end"),
    gettext_noop("the service refused it without a reason"),
    gettext_noop("no answer came"),
    gettext_noop("the database is bound to another site's PUBLIC_URL: confirm it"),
    gettext_noop(
        "{count} people would be unsubscribed or erased within an hour, more than MASS_SHARE allows: if that is "
        "right, confirm with mktg_replay --held"
    ),
    gettext_noop("the service's answer was lost, so it may have been carried out: look there, then replay or discard"),
    gettext_noop("the service has no contact of this person: see why their profile makes none, then replay or discard"),
    gettext_noop("the contact was gone and is made again; this comes after it"),
    gettext_noop("{person} has the same address and owns the contact: correct one of the two"),
    gettext_noop("prepare() of PROFILE {path} raised {error}: correct it"),
    gettext_noop("the mapping raised {error}: correct it, then replay"),
    gettext_noop("far more people differ than the {count} that the preview told of: make another preview"),
    gettext_noop("another pull of this connection is at work"),
    gettext_noop("was cut off by an error; the next pull goes on after its pages"),
    gettext_noop("was cut off; the next pull goes on after its pages"),
    gettext_noop("was cut off; resume it, and it goes on where it was"),
    gettext_noop("it was held up for so long that another pull took its place"),
    gettext_noop("goes on in the next task"),
    gettext_noop("{name}: {resource}: a cursor came for the second time"),
    gettext_noop("{name}: {resource}: a page holds a value that its column cannot hold"),
    gettext_noop(
        "{name}: {gone} of {rows} rows were not there any more; nothing was marked as gone. If that is right: "
        "mktg_pull --resource {resource} --full --confirm-deletions"
    ),
    gettext_noop("{why}: connect the account again"),
    gettext_noop("an earlier refresh was not answered or not saved, and its refresh token counts as used"),
    gettext_noop("the service refuses the refresh token (used elsewhere, revoked or expired)"),
    gettext_noop("it cannot be applied: {error}"),
    gettext_noop("the body is no JSON"),
    # The profile
    gettext_noop("email is not a valid address: correct it at the user"),
    gettext_noop("{name} must be text: correct the mapping"),
    gettext_noop("consent must be a Consent: correct the mapping"),
    gettext_noop("consent's status must be a ConsentStatus: correct the mapping"),
    gettext_noop("consent's who and how must be text: correct the mapping"),
    gettext_noop("consent's when must be a date-time or None: correct the mapping"),
    gettext_noop("tags must be names, as text: correct the mapping"),
    gettext_noop("fields must be a dict of names and values: correct the mapping"),
    gettext_noop("each of the fields must be named by a text that is not empty: correct the mapping"),
    gettext_noop("field {name} is no finite number: correct the mapping"),
    gettext_noop("tags must be a collection of names, not one text: correct the mapping"),
    gettext_noop("company must be a Company or None: correct the mapping"),
    gettext_noop("{name} must be an aware date-time: correct the mapping"),
    gettext_noop("field {name} has a {type}: map it to text, number or date"),
    gettext_noop("field {name} is a date-time without a time zone: make it aware"),
    gettext_noop("field {name} is not a finite number: map it to a number or leave it empty"),
    # What the providers say of a person
    gettext_noop(
        "Conversion took the batch and left this contact out without a reason: check the address and the fields"
    ),
    gettext_noop("Conversion refused the new address, and no other contact has it"),
    gettext_noop("Conversion has no such contact, and UPDATE_ONLY makes none"),
    gettext_noop("{field}: create the field in Conversion or take it out of the mapping"),
    gettext_noop(
        "ConvertLoop has no call that unsubscribes: our segments are taken away; unsubscribe the person in "
        "ConvertLoop's own pages"
    ),
    gettext_noop(
        "ConvertLoop has no call that deletes: our segments are taken away; delete the person in "
        "ConvertLoop's own pages"
    ),
    gettext_noop("ConvertLoop does not know this person, who may not be mailed: the event would make them there"),
    gettext_noop("Kit answered without saying what became of this person"),
    gettext_noop("Kit has it but does not list it yet; it is looked up again later"),
    gettext_noop("Kit does not know the tag or the subscriber any more; a pull brings both up to date"),
    gettext_noop("Kit does not have the tag any more: make a new one"),
    gettext_noop("Kit refused the person: {reason}"),
    gettext_noop("Kit refused the tag: {reason}. Give it another name"),
    gettext_noop("Kit has no form named {form}: give its name as Kit shows it, or its id"),
    gettext_noop("Kit has no sequence named {sequence}: give its name as Kit shows it, or its id"),
    gettext_noop("tags were left out: create {tags} in Kit, or set CREATE_TAGS"),
    gettext_noop("custom field {name} was left out: create it in Kit, or set CREATE_FIELDS"),
    gettext_noop(
        "not subscribed: Kit's API cannot activate an inactive subscriber; add the person to a form with confirmation"
    ),
    gettext_noop(
        "not subscribed: Kit's API cannot bring back who opted out; the person can, with a form and its confirmation"
    ),
    gettext_noop("not subscribed yet: the person is on a form of Kit's and has still to confirm"),
    gettext_noop(
        "Kit's API cannot delete subscribers: this one is unsubscribed and without our tags; delete it in Kit's "
        "own pages"
    ),
    gettext_noop("no reason given"),
    # What they say of credentials and options
    gettext_noop(
        "Kit needs API_KEY (Kit: Settings, Developer, V4 key) or ACCESS_TOKEN (from OAuth): set one of the two"
    ),
    gettext_noop("{provider} needs {names} ({where})"),
    gettext_noop("{name}: {option} must be True or False"),
    gettext_noop("{name}: {option} must be text"),
    gettext_noop("{name}: {option} must be a whole number from 1 to {most}"),
    gettext_noop("{service} has no OAuth: connect it with its key"),
    gettext_noop("the credentials open the account {account}"),
    gettext_noop("the credentials are taken; nothing can be read"),
    gettext_noop(
        'A stored secret cannot be read with MKTG_INTEGRATION["ENCRYPTION_KEYS"]: put the key that it was written with '
        "back on the list, or enter the secret again"
    ),
)
VALUE = re.compile(r"\{(\w+)\}")


def worded(text: str) -> str:
    """``text`` as it was noted, in the reader's language where it is one of ``NOTED``."""
    if not text or text in NOTED:
        return gettext(text) if text else ""
    for pattern, noted in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return gettext(noted).format(**{name: worded(value) for name, value in found.groupdict().items()})
    return "; ".join(map(worded, text.split("; "))) if "; " in text else text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Those with values in them, the longest first: a short one may fit what a long one says better."""
    with_values = sorted((noted for noted in NOTED if VALUE.search(noted)), key=len, reverse=True)
    return tuple((_pattern(noted), noted) for noted in with_values)


def _pattern(noted: str) -> re.Pattern[str]:
    parts = VALUE.split(noted)
    # Text and the names of values by turns.
    made = [re.escape(part) if number % 2 == 0 else f"(?P<{part}>.+?)" for number, part in enumerate(parts)]
    return re.compile("".join(made), re.DOTALL)
