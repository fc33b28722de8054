"""One shape for all that goes wrong: ``{"status", "code", "detail", "errors"}``, so that a caller reads one thing."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.utils.translation import gettext
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from mktg_integration import exceptions as ours
from mktg_integration.insight.noted import worded

# By class, the first that fits. Their texts are for people and carry no address, secret or body.
STATUSES: tuple[tuple[type[ours.MktgError], int, str], ...] = (
    (ours.UnsupportedError, 400, "unsupported"),
    (ours.ProfileError, 400, "profile"),
    (ours.ConfigurationError, 400, "configuration"),
    (ours.NotNowError, 409, "not_now"),
    (ours.CopyError, 409, "copy"),
    (ours.DecryptionError, 409, "decryption"),
    (ours.ServiceError, 502, "service"),
    (ours.MalformedAnswerError, 502, "service"),
)


class ProblemSerializer(serializers.Serializer[Any]):
    """What every answer from 400 on is."""

    status = serializers.IntegerField(help_text="The HTTP status.")
    code = serializers.CharField(help_text="One word for programs.")
    detail = serializers.CharField(help_text="A sentence for people: what was wrong, and what to do.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        help_text="What was wrong with each field; empty where it was not about a field.",
    )


def problem(status: int, code: str, detail: str, errors: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The body of an answer from 400 on."""
    told = {_plain(place): [_plain(text) for text in texts] for place, texts in (errors or {}).items()}
    return {"status": status, "code": code, "detail": _plain(detail), "errors": told}


def _plain(text: str) -> str:
    """Without halves of surrogate pairs, which a caller may have sent and no answer can carry."""
    return str(text).encode("utf-8", "replace").decode()


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for this package's views. None: a defect, which Django reports as such."""
    for kind, status, code in STATUSES:
        if isinstance(error, kind):
            return Response(problem(status, code, worded(str(error))), status=status)
    if isinstance(error, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return Response(problem(400, "too_much", gettext("More was sent at once than this site takes.")), status=400)
    if isinstance(error, RecursionError):
        return Response(problem(400, "parse_error", gettext("What was sent is nested too deeply.")), status=400)
    if isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(serializers.as_serializer_error(error))
    response = exception_handler(error, context)
    if response is None:
        return None
    response.data = _told(error, response)
    return response


def _told(error: Exception, response: Response) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        errors = _flat(error.detail)
        return problem(response.status_code, "invalid", _sentence(errors), errors)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    code = getattr(error, "default_code", "error")
    detail = getattr(error, "detail", gettext("This cannot be done."))
    if isinstance(detail, exceptions.ErrorDetail):
        code = detail.code or code
        return problem(response.status_code, code, str(detail))
    # Raised by a site's own authentication, with a structure of its own.
    errors = _flat(detail)
    return problem(response.status_code, code, _sentence(errors), errors)


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """``{"credentials.API_KEY": ["…"]}`` of DRF's nested errors."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            for place, texts in _flat(inner, f"{path}.{name}" if path else str(name)).items():
                found.setdefault(place, []).extend(texts)
        return found
    if isinstance(detail, list) and any(isinstance(one, dict | list) for one in detail):
        found = {}
        for number, inner in enumerate(detail):
            for place, texts in _flat(inner, f"{path}.{number}" if path else str(number)).items():
                found.setdefault(place, []).extend(texts)
        return found
    texts = [str(one) for one in detail] if isinstance(detail, list) else [str(detail)]
    return {path or api_settings.NON_FIELD_ERRORS_KEY: texts} if texts else {}


def _sentence(errors: dict[str, list[str]]) -> str:
    """The errors in one line; those about no field without a name."""
    parts = [
        " ".join(texts) if place == api_settings.NON_FIELD_ERRORS_KEY else f"{place}: {' '.join(texts)}"
        for place, texts in errors.items()
    ]
    return " ".join(parts) or gettext("This cannot be done.")
