"""The package's texts and their translations: ``python -m tests.languages.messages`` brings the catalogues up to date.

Texts are read from the Python files and the templates by Babel, so that no GNU gettext is needed. Each catalogue keeps
the translations that it has, gets the new texts untranslated, and loses what is in no file any more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_javascript
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

import mktg_integration

PACKAGE = Path(mktg_integration.__file__).parent
LOCALE = PACKAGE / "locale"
# The plural forms are Django's own, so that its catalogues and these are one when they are read.
LANGUAGES = {
    "de": "nplurals=2; plural=(n != 1);",
    "es": "nplurals=3; plural=n == 1 ? 0 : n != 0 && n % 1000000 == 0 ? 1 : 2;",
}
KEYWORDS: dict[str, Any] = {
    "_": None,
    **dict.fromkeys(("gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
HEADER = """\
# {name} translation of mktg-integration. This file is distributed under the license of the package.
msgid ""
msgstr ""
"Project-Id-Version: mktg-integration\\n"
"POT-Creation-Date: 2026-11-21 00:00+0000\\n"
"PO-Revision-Date: 2026-11-21 00:00+0000\\n"
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural_forms}\\n"

"""


def extract_template(fileobj: Any, keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """A Django template, as Django itself reads it for its own ``makemessages``."""
    source = templatize(fileobj.read().decode(), origin=str(getattr(fileobj, "name", "")))
    # Not Python any more, but calls among blanked-out text: this reader minds no indentation.
    return extract_javascript(
        BytesIO(source.encode()), keywords, comment_tags, {"encoding": "utf-8", "template_string": False, "jsx": False}
    )


METHODS: list[tuple[str, Any]] = [
    ("**/migrations/**", "ignore"),
    ("**.py", "python"),
    ("**/templates/**.html", extract_template),
    ("**/templates/**.txt", extract_template),
]


def extracted() -> Catalog:
    """All texts of the package as they are in its files now."""
    if not settings.configured:
        settings.configure()
    catalog = Catalog(project="mktg-integration", charset="utf-8")
    found = extract_from_dir(
        PACKAGE, method_map=METHODS, options_map={}, keywords=KEYWORDS, comment_tags=["Translators:"]
    )
    for _filename, _line, message, comments, context in found:
        catalog.add(message, auto_comments=comments, context=context)
    return catalog


def po_file(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def mo_file(language: str) -> Path:
    return po_file(language).with_suffix(".mo")


def read(language: str) -> Catalog:
    with po_file(language).open("rb") as file:
        return read_po(file, locale=language)


def texts(message: Message) -> list[str]:
    """A message's text, or its singular and plural."""
    return [message.id] if isinstance(message.id, str) else list(message.id)


def translations(message: Message) -> list[str]:
    """What a message is translated to, in each plural form."""
    return [message.string] if isinstance(message.string, str) else list(message.string)


def compiled(catalog: Catalog) -> bytes:
    made = BytesIO()
    write_mo(made, catalog)
    return made.getvalue()


def written(language: str, catalog: Catalog) -> bytes:
    """A .po file: the same for the same texts and translations, whenever and by whomever it is written.

    Without the places of the texts, so that it changes when a text does, and not when code moves.
    """
    name = catalog.locale.english_name if catalog.locale else language
    made = BytesIO(HEADER.format(name=name, language=language, plural_forms=LANGUAGES[language]).encode())
    made.seek(0, SEEK_END)
    write_po(made, catalog, width=120, sort_output=True, no_location=True, omit_header=True)
    return made.getvalue()


def updated(language: str, source: Catalog) -> Catalog:
    """The catalogue of a language with just the texts of ``source``, and the translations that it has of them."""
    known = read(language) if po_file(language).exists() else Catalog(locale=language)
    made = Catalog(locale=language, charset="utf-8", fuzzy=False)
    made.mime_headers = [("Plural-Forms", LANGUAGES[language])]
    for message in source:
        if not message.id:
            continue
        old = known.get(message.id, message.context)
        string = old.string if old is not None and bool(old.pluralizable) == bool(message.pluralizable) else ""
        made.add(
            message.id,
            string,
            auto_comments=message.auto_comments,
            flags=message.flags - {"fuzzy"},
            context=message.context,
        )
    return made


def update() -> dict[str, list[str]]:
    """Brings all catalogues up to date; the texts of each language that have still to be translated."""
    source = extracted()
    missing = {}
    for language in LANGUAGES:
        catalog = updated(language, source)
        po_file(language).parent.mkdir(parents=True, exist_ok=True)
        po_file(language).write_bytes(written(language, catalog))
        mo_file(language).write_bytes(compiled(read(language)))
        missing[language] = [texts(one)[0] for one in catalog if one.id and not all(translations(one))]
    return missing


if __name__ == "__main__":
    left = update()
    for language, untranslated in left.items():
        sys.stdout.writelines(f"{language}: {text!r}\n" for text in untranslated)
        sys.stdout.write(f"{language}: {len(untranslated)} to translate\n")
    sys.exit(any(left.values()))
