"""The stand-in for the three services: a local server that answers as their documents say, and a pytest plugin.

It imports nothing of the clients, so that a misreading of a document is not made twice in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import FaultError, WorldError
    from .server import Sandbox

__all__ = ["FaultError", "Sandbox", "WorldError"]


def __getattr__(name: str) -> Any:
    # Late: pytest imports this package in every project where it is installed, also where it is not used.
    if name == "Sandbox":
        from .server import Sandbox

        return Sandbox
    if name in ("FaultError", "WorldError"):
        from . import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
