"""The pages really come in the reader's language, with nothing English left of what the package says."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from django.contrib import admin
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import strip_tags

from mktg_integration import shortcuts
from mktg_integration.models import Connection, Run, RunKind, RunStatus
from tests.admin.test_lists import add_dead, add_row
from tests.languages import messages
from tests.push.conftest import send

LISTS = [model._meta.model_name for model in admin.site._registry if model._meta.app_label == "mktg_integration"]
SignUp = Callable[..., Any]


def seen(client: Client, address: str) -> str:
    """What a page shows, without its tags, scripts and styles."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(strip_tags(text)).split())


def english(catalog: Catalog) -> set[str]:
    """Whole sentences and headings that are other words in the reader's language."""
    texts = {message.id for message in catalog if isinstance(message.id, str) and message.id != message.string}
    return {text for text in texts if len(text) > 14 and " " in text and "%" not in text and "{" not in text}


def left(page: str, catalog: Catalog) -> list[str]:
    return sorted(text for text in english(catalog) if text in page)


@pytest.fixture
def busy(kit: Connection, sign_up: SignUp) -> Connection:
    """Somebody was sent, somebody waits, somebody was rejected."""
    sign_up("ada", plan="gold", groups=("VIP",))
    send(kit)
    sign_up("bob")
    add_dead(kit, 98)
    add_row(kit, 99)
    now = timezone.now()
    Run.objects.create(
        connection=kit, kind=RunKind.PULL, started_at=now, moved_at=now, status=RunStatus.RUNNING, counts={"asked": {}}
    )
    return kit


def test_the_home_says_how_things_are(language: str, catalog: Catalog, staff: Client, busy: Connection) -> None:
    page = seen(staff, reverse("admin:app_list", args=["mktg_integration"]))

    assert {
        "de": "Noch hat kein Worker eine geplante Aufgabe ausgeführt, daher wird nichts gesendet oder gelesen.",
        "es": "Ningún worker ha ejecutado todavía una tarea programada, así que no se envía ni se lee nada.",
    }[language] in page
    assert {"de": "Letzter Abruf", "es": "Última lectura"}[language] in page
    assert left(page, catalog) == []


def test_a_run_tells_its_progress(language: str, catalog: Catalog, staff: Client, busy: Connection) -> None:
    run = Run.objects.get(status=RunStatus.RUNNING)
    page = seen(staff, reverse("admin:mktg_integration_run_change", args=[run.pk]))
    progress = staff.get(reverse("admin:mktg_integration_run_progress", args=[run.pk])).json()

    assert {"de": "Wie es läuft", "es": "Cómo va"}[language] in page
    assert progress["label"] == {"de": "läuft", "es": "en marcha"}[language]
    assert left(page, catalog) == []


def test_people_choose_what_they_are_mailed(
    language: str, catalog: Catalog, visitor: Client, kit: Connection, sign_up: SignUp
) -> None:
    link = shortcuts.preference_url(sign_up("ada")).removeprefix("https://example.org")
    page = seen(visitor, link)
    saved = visitor.post(link, {"action": "leave"}).content.decode()

    assert {"de": "Was Sie per Mail bekommen", "es": "Qué correos recibe"}[language] in page
    assert {"de": "Von allen Mails abmelden", "es": "Darse de baja de todos los correos"}[language] in page
    assert {"de": "Sie sind abgemeldet.", "es": "Se ha dado de baja."}[language] in saved
    assert left(page, catalog) == []


def test_every_list_and_a_row_of_each(catalog: Catalog, staff: Client, busy: Connection) -> None:
    found = {}
    for name in LISTS:
        listed = reverse(f"admin:mktg_integration_{name}_changelist")
        row = re.search(rf'href="(/admin/mktg_integration/{name}/[^"?]+/change/)', staff.get(listed).content.decode())
        for address in (listed, row[1] if row else listed):
            found[address] = left(seen(staff, address), catalog)

    assert {address: texts for address, texts in found.items() if texts} == {}


def test_the_pages_of_a_connection(catalog: Catalog, staff: Client, busy: Connection) -> None:
    for name in ("test", "disconnect", "mapping"):
        assert left(seen(staff, reverse(f"admin:mktg_integration_connection_{name}", args=[busy.pk])), catalog) == []


def test_the_page_of_a_person(catalog: Catalog, staff: Client, busy: Connection, sign_up: SignUp) -> None:
    for subject in ("user:1", f"user:{sign_up('eve').pk}"):
        page = staff.get(reverse("admin:mktg_integration_contact_person", args=[subject]))
        if page.status_code == 200:
            assert left(seen(staff, page.request["PATH_INFO"]), catalog) == []


def test_the_api_says_what_was_wrong(language: str, staff: Client, kit: Connection) -> None:
    answer = staff.post(
        "/marketing/api/v1/connections/", {"name": "x", "provider": "nobody"}, content_type="application/json"
    )

    assert answer.status_code == 400
    assert answer.json()["errors"]["provider"] == [
        {"de": "Verwenden Sie eines von", "es": "Use uno de"}[language] + ": conversion, convertloop, kit."
    ]


def test_a_failed_connect_is_explained(language: str, staff: Client, kit: Connection) -> None:
    answer = staff.get(reverse("mktg_integration:oauth-callback", args=["kit"]), {"state": "none", "code": "none"})

    assert f'lang="{language}"' in answer.content.decode()
    assert {"de": "Dieser Link ist nicht mehr gültig", "es": "Este enlace ya no es válido"}[
        language
    ] in answer.content.decode()


def test_the_checks_say_what_to_do(language: str, settings: Any) -> None:
    settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, "PUSHH": True}
    with translation.override(language):
        (found,) = [message for message in run_checks() if message.id == "mktg_integration.E002"]

    assert found.hint == {"de": 'Meinten Sie "PUSH"?', "es": '¿Quiso decir "PUSH"?'}[language]


def test_a_reader_of_another_language_reads_english(kit: Connection) -> None:
    with translation.override("fr"):
        assert str(Connection._meta.verbose_name) == "connection"


def test_plural_forms_are_the_language_s_own(language: str) -> None:
    with translation.override(language):
        one, two, million = (
            translation.ngettext("%d minute", "%d minutes", number) % number for number in (1, 2, 1_000_000)
        )

    assert [one, two, million] == {
        "de": ["1 Minute", "2 Minuten", "1000000 Minuten"],
        "es": ["1 minuto", "2 minutos", "1000000 minutos"],
    }[language]


def test_both_catalogues_are_tested() -> None:
    assert {folder.name for folder in messages.LOCALE.iterdir()} == set(messages.LANGUAGES)
