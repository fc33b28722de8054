"""The account: colors, profile, statistics, and what it can only list (reference: "Accounts", "Segments",
"Email Templates")."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, timezone

from ..wire import Response
from .core import Kit
from .errors import invalid, not_found
from .objects import EmailTemplate, Segment
from .paging import PageQuery, paginate
from .requests import Keys
from .router import answer, routes
from .times import Day, iso

MOST_COLORS = 5
STATS_DAYS = 90

_HEX_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


class ColorsBody(Keys):
    colors: list[str]


class PeriodQuery(Keys):
    starting: Day | None = None
    ending: Day | None = None


@routes("GET /v4/account")
def get_account(kit: Kit) -> Response:
    account = kit.world.account
    return answer(
        200,
        {
            "user": {"email": account.user_email},
            "account": {
                "name": account.name,
                "plan_type": account.plan_type,
                "primary_email_address": account.primary_email_address,
                "created_at": account.created_at,
                "id": account.id,
            },
        },
    )


@routes("GET /v4/account/colors")
def list_colors(kit: Kit) -> Response:
    return answer(200, {"colors": kit.world.account.colors})


@routes("PUT /v4/account/colors")
def update_colors(kit: Kit, body: ColorsBody) -> Response:
    wrong = [color for color in body.colors if not _HEX_COLOR.fullmatch(color)]
    errors = [f"Colors {color} is not a valid hex color code." for color in wrong]
    if len(body.colors) > MOST_COLORS:
        errors.append(f"Colors can be at most {MOST_COLORS}.")
    if errors:
        raise invalid(*errors)
    kit.world.account.colors = body.colors
    return answer(200, {"colors": body.colors})


@routes("GET /v4/account/creator_profile")
def get_creator_profile(kit: Kit) -> Response:
    profile = kit.world.creator_profile
    if profile is None:
        raise not_found()
    return answer(200, {"profile": asdict(profile)})


@routes("GET /v4/account/email_stats")
def get_email_stats(kit: Kit) -> Response:
    account, now = kit.world.account, kit.clock()
    return answer(
        200,
        {
            "stats": {
                "sent": account.emails_sent,
                "clicked": account.emails_clicked,
                "opened": account.emails_opened,
                "email_stats_mode": "last_90",
                "open_tracking_enabled": True,
                "click_tracking_enabled": True,
                "starting": iso(now - STATS_DAYS * 86_400),
                "ending": iso(now),
            }
        },
    )


@routes("GET /v4/account/growth_stats")
def get_growth_stats(kit: Kit, query: PeriodQuery) -> Response:
    zone = timezone(timedelta(hours=kit.world.account.utc_offset_hours))
    today = datetime.fromtimestamp(kit.clock(), zone).date()
    last = date.fromisoformat(query.ending) if query.ending else today
    first = date.fromisoformat(query.starting) if query.starting else today - timedelta(days=STATS_DAYS)
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=zone)
    low, high = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, end))
    subscribers = list(kit.world.subscribers)
    new = sum(low <= row.created_at <= high for row in subscribers)
    cancelled = sum(row.cancelled_at is not None and low <= row.cancelled_at <= high for row in subscribers)
    return answer(
        200,
        {
            "stats": {
                "cancellations": cancelled,
                "net_new_subscribers": new - cancelled,
                "new_subscribers": new,
                "subscribers": sum(row.state == "active" and row.created_at <= high for row in subscribers),
                "starting": start.isoformat(),
                "ending": end.isoformat(),
            }
        },
    )


@routes("GET /v4/segments")
def list_segments(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.segments.listed()
    page = paginate(view.ids, view.get, query)

    def shown(row: Segment) -> dict[str, object]:
        return {"id": row.id, "name": row.name, "created_at": row.created_at}

    return answer(200, {"segments": [shown(row) for row in page.rows], "pagination": page.pagination})


@routes("GET /v4/email_templates")
def list_email_templates(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.email_templates.listed()
    page = paginate(view.ids, view.get, query)

    def shown(row: EmailTemplate) -> dict[str, object]:
        return {"id": row.id, "name": row.name, "is_default": row.is_default, "category": row.category}

    return answer(200, {"email_templates": [shown(row) for row in page.rows], "pagination": page.pagination})
