"""What people read is marked as translatable, so that the catalogues can be complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.test import RequestFactory
from django.utils.functional import Promise

from tests.languages.messages import PACKAGE

TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
OURS = [(model, site) for model, site in admin.site._registry.items() if model._meta.app_label == "mktg_integration"]

# In templates: what is read out or shown though it is no text between tags.
SHOWN_ATTRIBUTES = {"alt", "aria-label", "aria-description", "placeholder", "title", "label"}
TRANSLATED = re.compile(r"{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}", re.DOTALL)
COMMENT = re.compile(r"{%\s*comment\s*%}.*?{%\s*endcomment\s*%}|{#.*?#}", re.DOTALL)
# Names of classes, for the page's style.
CLASSES = re.compile(r"{%\s*block (?:bodyclass|coltype)\s*%}.*?{%\s*endblock\s*%}", re.DOTALL)
TAG = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
FILTERED = re.compile(r"""\|(?:default|default_if_none|yesno|pluralize|add):(?:"([^"]*)"|'([^']*)')""")
WORD = re.compile(r"[^\W\d_]{2,}")
# Names that are the same in every language, and the language of a page that has none.
NAMES = {"HTTP", "en"}

# Whose errors people read in the admin and the API, where they are raised by these.
SPOKEN = {"UnsupportedError", "ConfigurationError", "CopyError", "NotNowError", "ProfileError", "ValidationError"}
SPEAKERS = ["admin", "api", "operations", "insight", "preferences", "oauth", "inbound/registration.py"]
SPEAKERS += ["connections.py", "shortcuts.py", "tokens.py", "pull/streams.py"]


class Shown(HTMLParser):
    """The texts of a page without its template tags: ``found``."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []
        for before in (COMMENT, TRANSLATED, CLASSES, TAG):
            source = before.sub(" ", source)
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.within = [tag]
        self.found += [value for name, value in attrs if name in SHOWN_ATTRIBUTES and value]
        if tag == "input" and given.get("type") in {"submit", "button", "reset"}:
            self.found.append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        self.within = []

    def handle_data(self, data: str) -> None:
        if self.within not in (["style"], ["script"]):
            self.found.append(data)


def unmarked(source: str) -> list[str]:
    """What a template shows in one language only."""
    shown = [*Shown(source).found, *(one or two for one, two in FILTERED.findall(COMMENT.sub(" ", source)))]
    return [" ".join(text.split()) for text in shown if set(WORD.findall(text)) - NAMES]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(PACKAGE / "templates")))
def test_a_template_shows_no_text_that_is_not_marked(template: Path) -> None:
    assert unmarked(template.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ('<p>{% translate "Hello" %}</p>', []),
        ("{% blocktranslate count n=n %}{{ n }} row{% plural %}{{ n }} rows{% endblocktranslate %}", []),
        ('<button aria-label="Close">×</button>', ["Close"]),
        ("<input type='submit' value='Send'>", ["Send"]),
        ("<input type='hidden' value='Send'>", []),
        ('<td>{{ value|default:"none yet" }}</td>', ["none yet"]),
        ("{% comment %}For developers{% endcomment %}<style>p { color: red }</style>", []),
    ],
)
def test_such_texts_are_found(source: str, found: list[str]) -> None:
    assert unmarked(source) == found


def literals(path: Path) -> Iterator[str]:
    """Where an error for people is raised with a text that is in one language only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call) or not node.exc.args:
            continue
        name = ast.unparse(node.exc.func).rpartition(".")[2]
        text = node.exc.args[0]
        words = ast.unparse(text) if isinstance(text, ast.Constant | ast.JoinedStr) else ""
        if name in SPOKEN and len(WORD.findall(re.sub(r"{.*?}", "", words))) > 1:
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {words}"


def test_errors_that_people_read_are_marked() -> None:
    files = [
        file for name in SPEAKERS for file in ([PACKAGE / name] if "." in name else (PACKAGE / name).rglob("*.py"))
    ]

    assert [found for file in files for found in literals(file)] == []


def test_the_checks_say_what_is_wrong_and_what_to_do_in_the_reader_s_language() -> None:
    for file in (PACKAGE / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"error", "warning"}:
                for text in node.args[1:]:
                    words = ast.unparse(text) if isinstance(text, ast.Constant | ast.JoinedStr) else ""
                    assert not WORD.findall(re.sub(r"{.*?}", "", words[2:])), f"{file.name}:{node.lineno} {words}"


@pytest.mark.parametrize(("model", "site"), OURS, ids=lambda one: getattr(one, "__name__", ""))
def test_the_admin_names_its_columns_fields_and_actions_in_the_reader_s_language(
    model: type[Model], site: admin.ModelAdmin[Any]
) -> None:
    request = RequestFactory().get("/")
    request.user = get_user_model()(is_superuser=True, is_staff=True, is_active=True)
    example = model(provider="kit") if model.__name__ == "Connection" else model()
    filters = [one[0] if isinstance(one, tuple) else one for one in site.list_filter]
    names = {*site.get_list_display(request), *flatten_fieldsets(site.get_fieldsets(request, example)), *filters}

    assert isinstance(model._meta.verbose_name, Promise)
    assert isinstance(model._meta.verbose_name_plural, Promise)
    assert [name for name in names if isinstance(name, str) and not _is_named(model, site, name)] == []
    for name in site.actions or ():
        action = getattr(site, name, None) if isinstance(name, str) else name
        assert isinstance(getattr(action, "short_description", None), Promise), name


def _is_named(model: type[Model], site: admin.ModelAdmin[Any], name: str) -> bool:
    own = getattr(site, name, None)
    if own is not None and name != "__str__":
        return isinstance(getattr(own, "short_description", None), Promise)
    fields = {field.name: field for field in model._meta.get_fields()}
    # A field of the form alone has a label of its own.
    return (
        name not in fields
        or fields[name].auto_created
        or isinstance(getattr(fields[name], "verbose_name", ""), Promise)
    )
