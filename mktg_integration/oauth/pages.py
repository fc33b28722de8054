"""What people read where connecting an account failed: what happened, and how to go on."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Page(NamedTuple):
    status: int
    title: Promise | str
    text: Promise | str


PAGES: dict[str, Page] = {
    "denied": Page(
        200,
        _("Access was not granted"),
        _("You chose not to let this site use the account. Nothing was changed. You can connect it at any time."),
    ),
    "state": Page(
        400,
        _("This link is not valid any more"),
        _(
            "It was used before, took longer than ten minutes, or was begun in another browser. Nothing was changed. "
            "Connect the account again, and finish in the same browser."
        ),
    ),
    "code": Page(
        400,
        _("The service did not accept its own code"),
        _("It has run out, was used before, or was meant for somebody else. Nothing was changed. Connect again."),
    ),
    "app": Page(
        502,
        _("The service does not know this site's app"),
        _('Whoever runs the site has to check CLIENT_ID and CLIENT_SECRET in MKTG_INTEGRATION["OAUTH"].'),
    ),
    "configuration": Page(
        500,
        _("This site is not set up for it yet"),
        _("Whoever runs the site has to correct a setting:"),
    ),
    "database": Page(
        500,
        _("This site could not save it"),
        _("Nothing was changed. Connect again; if it happens again, whoever runs the site has to look at its log."),
    ),
    "service": Page(
        502,
        _("The service does not answer"),
        _("Nothing was changed. Connect the account again in a few minutes."),
    ),
    "refused": Page(
        502,
        _("The service refused the request"),
        _("Nothing was changed. Connect again; if it happens again, look into the site's log."),
    ),
    "account": Page(
        409,
        _("This is another account"),
        _(
            "A connection keeps its account, because its contacts are known by that account's ids. Sign out at the "
            "service, sign in with the right account, and connect again; or connect this one as a new connection."
        ),
    ),
    "gone": Page(404, _("There is no such connection"), _("It was deleted or renamed. Connect the account anew.")),
    "forbidden": Page(
        403,
        _("You may not connect accounts"),
        _("Ask somebody who may add and change connections in the admin."),
    ),
    "unknown": Page(404, _("This service cannot be connected by OAuth"), _("Connect it with its key in the admin.")),
}
