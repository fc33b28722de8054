"""Where the services deliver. Each request is judged, stored and answered; applying it is a task's.

Django logs the address of a request that it answers with an error, and the address holds a secret: so no answer of
these views is logged by it, and no exception leaves them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from mktg_integration.conf import settings
from mktg_integration.inbound.addresses import SIGNED, find
from mktg_integration.inbound.receipt import ForgedError, keep
from mktg_integration.models import InboxKind, InboxRow

logger = logging.getLogger("mktg_integration.inbound")

EVENT_LENGTH = InboxRow._meta.get_field("event").max_length or 0
PARAMETER_LENGTH = InboxRow._meta.get_field("parameter").max_length or 0

View = Callable[..., HttpResponse]


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


def _quietly(view: View) -> View:
    @csrf_exempt
    @transaction.non_atomic_requests
    @wraps(view)
    def answer(request: HttpRequest, **named: str) -> HttpResponse:
        try:
            response = view(request, **named) if request.method == "POST" else HttpResponse(status=405)
        except _RefusedError as refused:
            response = HttpResponse(status=refused.status)
        except Exception as error:  # noqa: BLE001 (Django would log the address with whatever this is)
            logger.error("A delivery could not be stored (%s); the service is asked to repeat it", type(error).__name__)  # noqa: TRY400
            response = HttpResponse(status=503, headers={"Retry-After": "60"})
        if response.status_code == 405:
            response.headers["Allow"] = "POST"
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    return answer


@_quietly
def receive_webhook(request: HttpRequest, token: str, event: str, parameter: str = "") -> HttpResponse:
    """One delivery of a webhook: 200 once it is stored; 404 for an unknown address, 401 for a bad signature, 413 for a
    body that is too large, 415 for one that is no JSON by its header."""
    kind = InboxKind.SIGNED if event == SIGNED else InboxKind.WEBHOOK
    return _receive(request, token, kind, event, parameter)


@_quietly
def receive_callback(request: HttpRequest, token: str) -> HttpResponse:
    """The result of a bulk request that the service worked on later; as ``receive_webhook``."""
    return _receive(request, token, InboxKind.CALLBACK, "", "")


def _receive(request: HttpRequest, token: str, kind: InboxKind, event: str, parameter: str) -> HttpResponse:
    address = find(token)
    if address is None or len(event) > EVENT_LENGTH or len(parameter) > PARAMETER_LENGTH:
        raise _RefusedError(404)
    body = _body(request)
    try:
        keep(address, kind, event, parameter, request.headers, body)
    except ForgedError:
        raise _RefusedError(401) from None
    return HttpResponse(status=200)


def _body(request: HttpRequest) -> bytes:
    kind = (request.content_type or "").lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise _RefusedError(415)
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise _RefusedError(415)
    most = settings.INBOUND_BYTES
    try:
        told: Any = request.META.get("CONTENT_LENGTH") or 0
        if int(told) > most:
            raise _RefusedError(413)
        body = request.read(most + 1)
    except (ValueError, UnreadablePostError):
        raise _RefusedError(400) from None
    if len(body) > most:
        raise _RefusedError(413)
    return body
