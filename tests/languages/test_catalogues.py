"""The catalogues are complete and hold nothing else; ``python -m tests.languages.messages`` brings them up to date."""

from __future__ import annotations

import re
from collections import Counter

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo

from tests.languages import messages

# "%(name)s", "%d", "%%"; "{name}", "{name!r}", "{seconds:g}", "{{".
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd%]|\{\{|\}\}|\{\w+(?:![rsa])?(?::[^{}]*)?\}|</?\w+>")


def known(catalog: Catalog) -> dict[tuple[str, ...], Message]:
    """Every message by its context, text and plural."""
    return {(message.context or "", *messages.texts(message)): message for message in catalog if message.id}


def placeholders(text: str) -> Counter[str]:
    return Counter(PLACEHOLDER.findall(text))


def test_every_text_of_the_package_is_in_the_catalogue(source: Catalog, catalog: Catalog) -> None:
    missing = known(source).keys() - known(catalog).keys()

    assert not missing, "run python -m tests.languages.messages, and translate what it names"


def test_the_catalogue_holds_nothing_that_the_package_has_no_more(source: Catalog, catalog: Catalog) -> None:
    assert not known(catalog).keys() - known(source).keys()
    assert not catalog.obsolete


def test_every_text_is_translated_in_each_plural_form(catalog: Catalog) -> None:
    untranslated = [
        key
        for key, message in known(catalog).items()
        if not all(text.strip() for text in messages.translations(message))
    ]

    assert not untranslated
    for message in known(catalog).values():
        assert len(messages.translations(message)) == (catalog.num_plurals if message.pluralizable else 1)


def test_no_translation_is_a_guess(catalog: Catalog) -> None:
    assert not [key for key, message in known(catalog).items() if message.fuzzy]


def test_each_translation_takes_what_its_text_takes(catalog: Catalog) -> None:
    for key, message in known(catalog).items():
        wanted = placeholders(messages.texts(message)[-1])
        for text in messages.translations(message):
            assert placeholders(text) == wanted, key


def test_each_translation_begins_and_ends_with_the_white_space_and_the_dots_of_its_text(catalog: Catalog) -> None:
    for key, message in known(catalog).items():
        text = messages.texts(message)[0]
        for translation in messages.translations(message):
            assert translation == translation.strip() or text != text.strip(), key
            assert translation.endswith("…") == text.endswith("…"), key
            assert translation.endswith(".") == text.endswith("."), key


def test_what_is_compiled_is_what_is_written(language: str, catalog: Catalog) -> None:
    with messages.mo_file(language).open("rb") as file:
        compiled = read_mo(file)

    written = {key: messages.translations(message) for key, message in known(catalog).items()}
    assert {key: messages.translations(message) for key, message in known(compiled).items()} == written
    assert compiled.plural_expr == catalog.plural_expr


def test_the_update_leaves_alone_what_is_up_to_date(language: str, source: Catalog) -> None:
    written = messages.written(language, messages.updated(language, source))

    assert messages.po_file(language).read_bytes() == written
