"""World files: all that the three services hold, and whom they let in, as one JSON object."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .credentials import Credentials
from .errors import WorldError
from .worldmodel import explain


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Kit(_Part):
    api_keys: list[str] | None = None
    access_tokens: list[str] | None = None
    clients: dict[str, str] | None = None


class _Conversion(_Part):
    api_keys: list[str] | None = None


class _ConvertLoop(_Part):
    apps: dict[str, str] | None = None


class _Credentials(_Part):
    kit: _Kit = _Kit()
    conversion: _Conversion = _Conversion()
    convertloop: _ConvertLoop = _ConvertLoop()


def set_credentials(credentials: Credentials, base: Credentials, world: Mapping[str, Any]) -> None:
    """Make ``credentials`` those of ``base``, with what a world's ``credentials`` names in place of the defaults.

    What is in ``base`` beyond the published defaults (from the environment) is let in in any case.
    Raises WorldError, having changed nothing.
    """
    try:
        given = _Credentials.model_validate(world)
    except ValidationError as error:
        raise WorldError(explain(error, "credentials")) from error
    defaults = Credentials()
    for service in ("kit", "conversion", "convertloop"):
        for name, held in vars(getattr(credentials, service)).items():
            wanted = getattr(getattr(given, service), name)
            own = getattr(getattr(base, service), name)
            published = getattr(getattr(defaults, service), name)
            # In place: the services keep these very sets and dicts.
            if isinstance(held, dict):
                extra = {k: v for k, v in own.items() if published.get(k) != v}
                values: Any = own if wanted is None else {**wanted, **extra}
            else:
                values = own if wanted is None else {*wanted, *(own - published)}
            values = values.copy()
            held.clear()
            held.update(values)


def read_world_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in a file; raises WorldError naming the file, and the line where it is not JSON."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorldError(f"{path}: cannot be read: {error}") from error
    try:
        world = json.loads(text)
    except json.JSONDecodeError as error:
        raise WorldError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    if not isinstance(world, dict):
        raise WorldError(f"{path}: a world is a JSON object with the services' names as keys")
    return world


def write_world_file(path: str | os.PathLike[str], world: Mapping[str, Any]) -> None:
    """Write all of it or nothing: a reader, or a kill, never meets half a file."""
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(world, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(target)
