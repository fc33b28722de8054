"""What the worlds of the services have in common: strict JSON models, and errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import WorldError
from .values import place


class WorldModel(BaseModel):
    """One object of a world file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


W = TypeVar("W", bound=WorldModel)


def parse_world(model: type[W], world: Mapping[str, Any], service: str) -> W:
    """Read a service's part of a world; raises WorldError naming each place that is wrong."""
    try:
        return model.model_validate(world)
    except ValidationError as error:
        raise WorldError(explain(error, service)) from error


def explain(error: ValidationError, service: str) -> str:
    """A pydantic error in one line a place: ``conversion.contacts[3].email: Input should be a valid string``."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "\n".join(f"{place((service, *problem['loc']))}: {problem['msg']}" for problem in problems)
