"""Sentences that were noted in English are said again in the reader's language."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from django.utils import translation

from mktg_integration.insight.noted import NOTED, VALUE, worded
from tests.languages.messages import PACKAGE


@cache
def written() -> frozenset[str]:
    """Every text of the code but of this list itself, with ``{}`` for each value in it."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "noted.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values))
    return frozenset(found)


@pytest.mark.parametrize("noted", NOTED)
def test_the_code_notes_just_these_words(noted: str) -> None:
    is_written = VALUE.sub("{}", noted) in written()

    assert is_written, "change it here too, or take it out"


def test_a_sentence_is_said_in_german() -> None:
    with translation.override("de"):
        assert worded("no answer came") == "es kam keine Antwort"


def test_the_values_in_a_sentence_are_kept_and_those_that_are_sentences_are_said_too() -> None:
    with translation.override("es"):
        told = worded("20 rejections in a row: email is not a valid address: correct it at the user")

    assert told.startswith("20 rechazos seguidos: ")
    assert told.endswith(": corríjalo en el usuario")


def test_notes_that_were_joined_are_said_one_by_one() -> None:
    with translation.override("de"):
        told = worded("custom field plan was left out: create it in Kit, or set CREATE_FIELDS; no answer came")

    assert re.fullmatch(r".*plan.*CREATE_FIELDS.*; es kam keine Antwort", told)


def test_what_a_service_says_stays_as_it_is() -> None:
    with translation.override("de"):
        assert worded("Email has already been taken {odd}") == "Email has already been taken {odd}"
        assert worded("") == ""
