"""Forms and sequences and who is in them (reference: "Forms", "Sequences").

The document does not say what a form does to people who are not active. Here, as is known of Kit: someone inactive
stays so until they confirm; someone cancelled becomes inactive and is asked to confirm; a form that asks for no
confirmation makes both active; bounced and complained stay as they are. A sequence changes no state.
"""

from __future__ import annotations

from typing import Any, Literal

from ..wire import Response
from .core import Kit
from .errors import invalid
from .objects import Form, Sequence, Subscriber
from .paging import PageQuery, paginate
from .requests import blank
from .router import answer, routes
from .subscribers import MemberQuery, answer_members
from .tags import EmailBody
from .times import Day, within


class FormsQuery(PageQuery):
    status: Literal["active", "archived", "trashed", "all"] = "active"
    type: Literal["embed", "hosted"] | None = None


class AddedQuery(MemberQuery):
    added_after: Day | None = None
    added_before: Day | None = None


def shown_form(row: Form) -> dict[str, Any]:
    page = f"https://sandbox.example/{row.uid}"
    return {
        "id": row.id,
        "name": row.name,
        "created_at": row.created_at,
        "type": row.type,
        "format": row.format,
        "embed_js": f"{page}/index.js",
        "embed_url": page,
        "archived": row.archived,
        "uid": row.uid,
    }


def shown_sequence(row: Sequence) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "hold": row.hold, "repeat": row.repeat, "created_at": row.created_at}


@routes("GET /v4/forms")
def list_forms(kit: Kit, query: FormsQuery) -> Response:
    view = kit.world.forms.listed()

    def fetch(key: int) -> Form | None:
        row = view.get(key)
        if row is None or (query.type is not None and row.type != query.type):
            return None
        status = "trashed" if row.trashed else "archived" if row.archived else "active"
        return row if query.status in ("all", status) else None

    page = paginate(view.ids, fetch, query)
    return answer(200, {"forms": [shown_form(row) for row in page.rows], "pagination": page.pagination})


@routes("GET /v4/forms/{form_id}/subscribers")
def list_subscribers_of_form(kit: Kit, form_id: int, query: AddedQuery) -> Response:
    kit.found(kit.world.forms, form_id)
    return answer_members(
        kit,
        kit.world.form_members.within(form_id),
        query,
        time_key="added_at",
        joined=lambda at: within(at, query.added_after, query.added_before),
    )


@routes("POST /v4/forms/{form_id}/subscribers")
def add_to_form_by_email(kit: Kit, form_id: int, body: EmailBody) -> Response:
    form = kit.found(kit.world.forms, form_id)
    if body.email_address is None or blank(body.email_address):
        raise invalid("Either subscriber id or email address is required to add subscriber to form")
    return _on_form(kit, form, kit.subscriber_found_by_email(body.email_address))


@routes("POST /v4/forms/{form_id}/subscribers/{id}")
def add_to_form_by_id(kit: Kit, form_id: int, id: int) -> Response:
    form = kit.found(kit.world.forms, form_id)
    return _on_form(kit, form, kit.found(kit.world.subscribers, id))


def put_on_form(kit: Kit, form: Form, row: Subscriber) -> tuple[Subscriber, str, bool]:
    """The subscriber as it stands afterwards, since when it is on the form, and whether that is new."""
    added_at, new = kit.join(kit.world.form_members, form.id, row)
    if row.state in ("cancelled", "inactive"):
        if not form.confirmation:
            row = kit.change_state(row, "active")
        elif row.state == "cancelled":
            kit.stats.confirmation_requested[kit.operation] += 1
            row = kit.change_state(row, "inactive")
    if new and row.state == "active":
        kit.raise_event("form_subscribe", row, form.id)
    return row, added_at, new


def _on_form(kit: Kit, form: Form, row: Subscriber) -> Response:
    row, added_at, new = put_on_form(kit, form, row)
    return answer(201 if new else 200, {"subscriber": kit.shown(row, added_at=added_at)})


@routes("GET /v4/sequences")
def list_sequences(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.sequences.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"sequences": [shown_sequence(row) for row in page.rows], "pagination": page.pagination})


@routes("GET /v4/sequences/{sequence_id}/subscribers")
def list_subscribers_of_sequence(kit: Kit, sequence_id: int, query: AddedQuery) -> Response:
    kit.found(kit.world.sequences, sequence_id)
    return answer_members(
        kit,
        kit.world.sequence_members.within(sequence_id),
        query,
        time_key="added_at",
        joined=lambda at: within(at, query.added_after, query.added_before),
    )


@routes("POST /v4/sequences/{sequence_id}/subscribers")
def add_to_sequence_by_email(kit: Kit, sequence_id: int, body: EmailBody) -> Response:
    kit.found(kit.world.sequences, sequence_id)
    if body.email_address is None or blank(body.email_address):
        raise invalid("Either subscriber id or email address is required to add subscriber to sequence")
    return _in_sequence(kit, sequence_id, kit.subscriber_found_by_email(body.email_address))


@routes("POST /v4/sequences/{sequence_id}/subscribers/{id}")
def add_to_sequence_by_id(kit: Kit, sequence_id: int, id: int) -> Response:
    kit.found(kit.world.sequences, sequence_id)
    return _in_sequence(kit, sequence_id, kit.found(kit.world.subscribers, id))


def _in_sequence(kit: Kit, sequence_id: int, row: Subscriber) -> Response:
    added_at, new = kit.join(kit.world.sequence_members, sequence_id, row)
    if new:
        kit.raise_event("course_subscribe", row, sequence_id)
    return answer(201 if new else 200, {"subscriber": kit.shown(row, added_at=added_at)})
