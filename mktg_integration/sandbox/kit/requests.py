"""What a request's query and body hold, checked against what the document has: every key and every type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError

from ..wire import Request
from .errors import Refused

M = TypeVar("M", bound="Keys")


class Keys(BaseModel):
    """A set of documented keys: no other is accepted."""

    model_config = ConfigDict(extra="forbid")


class NoKeys(Keys):
    """For endpoints that take no query, or whose body is ``{}``."""


def read_query(request: Request, model: type[M]) -> M:
    """The query, its texts turned into the documented types (``0`` and ``1`` are booleans too)."""
    given = {key: values[-1] for key, values in request.query.items() if values and values[-1] != ""}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise refused(error, "query") from None


def read_body(request: Request, model: type[M], *, form: bool) -> M:
    """The body: JSON, or, where ``form`` says that the document shows it so, form-encoded as well."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if content_type == "application/x-www-form-urlencoded" and request.body:
            if not form:
                raise Refused(422, "The body must be JSON", undocumented="body type: form-encoded")
            fields = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
            return model.model_validate(fields)
        # "[]" is how PHP, which an official client is written in, encodes a body without keys.
        empty = request.body.strip() in (b"", b"[]")
        return model.model_validate_json(b"{}" if empty else request.body, strict=True)
    except ValidationError as error:
        raise refused(error, "body") from None


def refused(error: ValidationError, where: str) -> Refused:
    """All that is wrong, in Kit's words as far as they are known; undocumented keys and types are named."""
    messages: list[str] = []
    undocumented: list[str] = []
    for fault in error.errors(include_url=False, include_input=False):
        kind = fault["type"]
        if kind == "json_invalid":
            return Refused(400, "Bad Request", undocumented="body is not JSON")
        path = _dotted(fault["loc"])
        name = human(fault["loc"])
        if kind == "extra_forbidden":
            messages.append(f"{name} is not a documented parameter")
            undocumented.append(f"{where} key {path}")
        elif kind == "missing":
            messages.append(f"{name} can't be blank")
        elif kind == "kit":
            messages.append(f"{name} {fault['msg']}")
        elif kind == "whole":
            messages.append(fault["msg"])
        else:
            messages.append(f"{name} is invalid")
            if kind.endswith(("_type", "_parsing")):
                undocumented.append(f"{where} type of {path or 'the whole'}")
    messages = list(dict.fromkeys(messages))
    return Refused(422, *messages, undocumented="; ".join(dict.fromkeys(undocumented)) or None)


def human(location: Sequence[int | str]) -> str:
    """``Email address`` for ``("subscribers", 0, "email_address")``."""
    names = [part for part in location if isinstance(part, str)]
    return names[-1].replace("_", " ").capitalize() if names else "Body"


def _dotted(location: Sequence[int | str]) -> str:
    # Positions are left out: one kind of mistake counts as one, however many items have it.
    return "".join("[]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def blank(value: Any) -> bool:
    """Whether a text is missing, empty or white."""
    return value is None or (isinstance(value, str) and not value.strip())
