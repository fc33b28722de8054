"""Every reason that the package can write into a dead row tells staff what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktg_integration
from mktg_integration.exceptions import Action
from mktg_integration.http.errors import DEFAULT_STATUSES
from mktg_integration.insight.remedies import BY_CODE, BY_PROVIDER, BY_STATUS, OTHERWISE, remedy
from mktg_integration.providers.conversion.errors import CODES
from mktg_integration.push import claims, guard, people

PACKAGE = Path(mktg_integration.__file__).parent
# Helpers that take the code by position.
HELPERS = {"_refused": 1, "_refuse": 1}


def written_codes() -> set[str]:
    """The codes that engines and providers write themselves."""
    return {
        code
        for room in ("push", "providers")
        for path in (PACKAGE / room).rglob("*.py")
        for code in _literals(ast.parse(path.read_text()))
    }


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        found: list[ast.expr] = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in HELPERS and len(node.args) > HELPERS[name]:
            found.append(node.args[HELPERS[name]])
        for value in found:
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
                    yield part.value


def test_the_codes_are_found() -> None:
    assert {"in_doubt", "erase_by_hand", "no_such_sequence", "invalid_profile", "rejected"} <= written_codes()


def test_every_code_of_ours_has_a_remedy() -> None:
    ours = written_codes() | {guard.CODE, claims.UNREADABLE, people.MAPPING_FAILED}
    # "http_<status>" is told by its status.
    assert sorted(ours - set(BY_CODE) - {"http_"}) == []


def test_every_code_of_the_services_tables_that_rejects_has_a_remedy() -> None:
    rejecting = {code for code, action in CODES.items() if action is Action.REJECT}
    assert sorted(rejecting - set(BY_CODE)) == []


@pytest.mark.parametrize("status", [status for status, action in DEFAULT_STATUSES.items() if action is Action.REJECT])
def test_every_refusal_without_a_code_has_a_remedy(status: int) -> None:
    assert status in BY_STATUS
    assert remedy("kit", f"http_{status}") == str(BY_STATUS[status])
    assert remedy("kit", "a_code_of_their_own", status) == str(BY_STATUS[status])


def test_a_provider_may_have_its_own_word() -> None:
    assert "Kit" in remedy("kit", "erase_by_hand")
    assert {code for _, code in BY_PROVIDER} <= set(BY_CODE)


def test_what_nobody_knows_has_a_general_word() -> None:
    assert remedy("another", "odd") == str(OTHERWISE)
