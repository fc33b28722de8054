"""A client of ConvertLoop's REST API, v1; usable without Django and without a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.exceptions import Action
from mktg_integration.http import DEFAULT, BasicAuth, RateLimiter, Session
from mktg_integration.http.session import AnswerHook

JSON = Any

SERVICE = "convertloop"
BASE_URL = "https://api.convertloop.co/v1"

# Nothing is looked up at ConvertLoop: a 404 says that the base URL is wrong, which no row can help.
TABLE = DEFAULT.overridden(statuses={404: Action.FAIL})
_SUCCESS = (200, 201, 202, 204)


class ConvertLoopClient:
    """Both endpoints of the document. Thread-safe.

    ``base_url`` may end in a slash. ``deadline`` is the total time of a request in seconds. No answer's form is
    documented, so the status alone decides. Every method raises ``ServiceError`` where the service refuses or fails.
    """

    def __init__(
        self,
        app_id: str,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        on_answer: AnswerHook | None = None,
    ) -> None:
        self._session = Session(
            SERVICE,
            base_url,
            auth=BasicAuth(app_id, api_key),
            limiter=limiter,
            deadline=deadline,
            error_table=TABLE,
            on_answer=on_answer,
        )

    def close(self) -> None:
        """Close the open connections; the client may be used again."""
        self._session.close()

    def identify(self, person: Mapping[str, JSON]) -> None:
        """Identify a person, and add them to or remove them from segments (``POST /people``).

        At least one of ``pid``, ``user_id`` and ``email``; ``add_to_segments`` and ``remove_from_segments`` are lists
        of names; ``first_seen_at`` and ``last_seen_at`` ISO 8601; ``resubscribe`` brings back somebody who
        unsubscribed; any other key is a custom attribute. Repeating it changes nothing.
        """
        self._session.request("POST", "/people", json=dict(person), expect=_SUCCESS, status_alone=True)

    def log_event(self, event: Mapping[str, JSON]) -> None:
        """Track an event (``POST /event_logs``): ``name``, its time, ``person``, ``metadata``.

        Repeating it logs it again.
        """
        self._session.request("POST", "/event_logs", json=dict(event), expect=_SUCCESS, status_alone=True)
