"""What people read where a service does not let the site decide alone."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from mktg_integration.preferences.standing import Hint, ServiceHint

TEXTS = {
    Hint.PENDING: _("%(service)s is being told. It takes a moment."),
    Hint.CONFIRM: _(
        "%(service)s, which sends our mails, waits for your confirmation: look for a mail that asks for it, also among "
        "the spam."
    ),
    Hint.OUT: _(
        "You unsubscribed at %(service)s, which sends our mails, and it does not let us undo that. Sign up again by "
        "our newsletter form, or ask us."
    ),
}


def text_of(hint: ServiceHint) -> str:
    """The hint in the active language."""
    return str(TEXTS[hint.hint]) % {"service": hint.service}
