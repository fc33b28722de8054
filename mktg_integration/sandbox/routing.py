"""Path templates: which documented operation a request is, and what its path carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")


def template_pattern(template: str) -> re.Pattern[str]:
    """The pattern of ``/v1/contacts/by-email/{email}``: each name in braces is one segment, never empty."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(re.escape(part) if i % 2 == 0 else f"(?P<{part}>[^/]+)" for i, part in enumerate(parts)))


class Routes(Generic[T]):
    """Operations (``"POST /v2/contacts"``) and what answers each; literal paths win over templates."""

    def __init__(self, table: Iterable[tuple[str, T]]) -> None:
        self._literal: dict[str, T] = {}
        self._templates: list[tuple[str, re.Pattern[str], str, T]] = []
        for operation, target in table:
            method, _, path = operation.partition(" ")
            if "{" in path:
                self._templates.append((method, template_pattern(path), operation, target))
            else:
                self._literal[operation] = target

    @property
    def operations(self) -> tuple[str, ...]:
        return (*self._literal, *(operation for _, _, operation, _ in self._templates))

    def find(self, method: str, path: str) -> tuple[str, T, dict[str, str]] | None:
        """The operation, its target and the decoded path parameters; None when no document has it."""
        operation = f"{method} {path}"
        if operation in self._literal:
            return operation, self._literal[operation], {}
        for its_method, pattern, template, target in self._templates:
            if its_method == method and (match := pattern.fullmatch(path)):
                return template, target, {k: unquote(v) for k, v in match.groupdict().items()}
        return None


def operation_finder(operations: Iterable[str]) -> Callable[[str, str], str | None]:
    """A function of method and path that names the operation, for those who need no more than its name."""
    routes = Routes((operation, None) for operation in operations)

    def find(method: str, path: str) -> str | None:
        found = routes.find(method, path)
        return found[0] if found else None

    return find
