"""One test a check: what is wrong, and that the hint names the key to set."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, run_checks
from django.db.backends.sqlite3.base import DatabaseWrapper

from mktg_integration.checks import TAG, database
from mktg_integration.models import Connection, ConnectionSource
from tests.ground.conftest import PAPER
from tests.ground.paper import Book


def found() -> dict[str, CheckMessage]:
    """All messages of this package, by id without the prefix."""
    return {str(message.id).removeprefix("mktg_integration."): message for message in run_checks(tags=[TAG])}


GOOD_SQLITE = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}


def use_sqlite(monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any]) -> None:
    wrapper = DatabaseWrapper({"NAME": name, "OPTIONS": options}, alias="default")
    monkeypatch.setattr(database, "connections", {"default": wrapper})


@pytest.fixture(autouse=True)
def good_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever database these tests run on."""
    use_sqlite(monkeypatch, "site.sqlite3", GOOD_SQLITE)


def test_the_settings_of_these_tests_are_good(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={"news": PAPER}, PUBLIC_URL="https://example.com")

    assert found() == {}


def test_e001_the_setting_is_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the signal of a change: everything else would already refuse it.
    monkeypatch.setattr(django_settings, "MKTG_INTEGRATION", ["CONNECTIONS"])

    assert list(found()) == ["E001"]


def test_e002_unknown_keys(marketing: Any) -> None:
    marketing(CONECTIONS={})

    message = found()["E002"]
    assert "'CONECTIONS'" in message.msg
    assert message.hint == 'Did you mean "CONNECTIONS"?'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("UNKNOWN_CONSENT", "perhaps"),
        ("ON_USER_DELETE", None),
        ("PUSH", "yes"),
        ("CALL_SECONDS", "30"),
        ("CALL_SECONDS", -1),
        ("CALL_SECONDS", 0),
        ("CONNECT_SECONDS", 0),
        ("AUDIT_KEPT_DAYS", float("inf")),
        ("AUDIT_KEPT_DAYS", 10**30),
        ("CLAIM_SIZE", 0),
        ("CLAIM_SIZE", 10.5),
        ("POOL_SIZE", True),
        ("MASS_SHARE", 5),
        ("PUBLIC_URL", "example.com"),
        ("ENCRYPTION_KEYS", "just one text"),
        ("CONNECTIONS", ["kit"]),
        ("PROFILE", len),
    ],
)
def test_e003_values_that_cannot_be_used(marketing: Any, settings: Any, key: str, value: Any) -> None:
    settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, key: value}

    message = found()["E003"]
    assert f'MKTG_INTEGRATION["{key}"]' in message.msg
    assert str(message.hint).startswith(f'Set MKTG_INTEGRATION["{key}"] to ')


def test_e004_a_lease_that_a_call_outlasts(marketing: Any) -> None:
    marketing(LEASE_SECONDS=40, CALL_SECONDS=30)

    assert found()["E004"].hint == 'Set MKTG_INTEGRATION["LEASE_SECONDS"] to 60 or more.'


def test_e005_and_e006_watched_models(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Set where the check reads it: the receivers would already refuse it as the setting changes.
    good = {"testapp.Preference": "user", "auth.Group": "tests.testapp.models.user_of"}
    monkeypatch.setitem(settings.MKTG_INTEGRATION, "WATCH", good)
    assert found() == {}

    monkeypatch.setitem(settings.MKTG_INTEGRATION, "WATCH", {"testapp.Preferences": "user"})
    assert "'testapp.Preferences'" in found()["E005"].msg

    for path in ("owner", "tests.testapp.models.nothing", 3):
        monkeypatch.setitem(settings.MKTG_INTEGRATION, "WATCH", {"testapp.Preference": path})
        assert 'WATCH"]["testapp.Preference"]' in found()["E006"].msg


def test_e007_the_function_that_tells_who_is_verified(marketing: Any) -> None:
    marketing(EMAIL_VERIFIED="tests.testapp.models.address_is_verified")
    assert found() == {}

    marketing(EMAIL_VERIFIED="tests.testapp.models.nothing")
    assert "EMAIL_VERIFIED" in found()["E007"].msg


# Keys


def test_e010_no_encryption_key(marketing: Any) -> None:
    marketing(ENCRYPTION_KEYS=[])

    assert "Fernet.generate_key()" in str(found()["E010"].hint)


def test_e011_no_fernet_key(marketing: Any) -> None:
    marketing(ENCRYPTION_KEYS=[Fernet.generate_key().decode(), "hunter2-hunter2"])

    message = found()["E011"]
    assert "[1]" in message.msg
    assert "hunter2" not in f"{message.msg} {message.hint}"


SECRET_KEY = "a site's secret key, which is at least fifty characters long"


@pytest.mark.parametrize(
    "made",
    [
        SECRET_KEY,
        base64.urlsafe_b64encode(hashlib.sha256(SECRET_KEY.encode()).digest()).decode(),
        base64.urlsafe_b64encode(SECRET_KEY.encode()[:32]).decode(),
        base64.urlsafe_b64encode(hashlib.md5(SECRET_KEY.encode(), usedforsecurity=False).hexdigest().encode()).decode(),
    ],
)
def test_e012_keys_made_of_the_secret_key(marketing: Any, settings: Any, made: str) -> None:
    settings.SECRET_KEY = SECRET_KEY
    marketing(ENCRYPTION_KEYS=[made])

    message = found()["E012"]
    assert made not in f"{message.msg} {message.hint}"


def test_e012_also_of_an_older_secret_key(marketing: Any, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [SECRET_KEY]
    marketing(ENCRYPTION_KEYS=[SECRET_KEY])

    assert "E012" in found()


def test_w005_hashes_that_would_go_with_the_secret_key(marketing: Any, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [SECRET_KEY]
    assert found() == {}, "HASH_KEY is set"

    marketing(HASH_KEY="")
    assert 'MKTG_INTEGRATION["HASH_KEY"]' in str(found()["W005"].hint)


# Connections


def only(book: Book, marketing: Any, name: str, declared: Any) -> CheckMessage:
    marketing(CONNECTIONS={name: declared})
    ((_, message),) = found().items()
    return message


def test_e020_a_connection_is_a_dict(book: Book, marketing: Any) -> None:
    assert only(book, marketing, "news", "paper").id == "mktg_integration.E020"


@pytest.mark.parametrize("name", ["my news", "", "x" * 65, "-news", 1])
def test_e021_names(book: Book, marketing: Any, name: Any) -> None:
    assert only(book, marketing, name, PAPER).id == "mktg_integration.E021"


@pytest.mark.parametrize("declared", [{"PENCIL": "2B"}, {"PROVIDER": "papyrus"}])
def test_e022_unknown_providers(book: Book, marketing: Any, declared: Any) -> None:
    message = only(book, marketing, "news", declared)

    assert message.id == "mktg_integration.E022"
    assert "'paper'" in str(message.hint)


def test_e023_unknown_keys_of_a_connection(book: Book, marketing: Any) -> None:
    message = only(book, marketing, "news", {**PAPER, "PENCILS": "HB"})

    assert message.id == "mktg_integration.E023"
    assert message.hint == 'Did you mean "PENCIL"?'
    assert "HB" not in message.msg


def test_e024_missing_credentials(book: Book, marketing: Any) -> None:
    message = only(book, marketing, "news", {"PROVIDER": "paper"})

    assert message.id == "mktg_integration.E024"
    assert 'CONNECTIONS"]["news"]' in message.msg
    assert '"PENCIL"' in str(message.hint)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"BASE_URL": "api.kit.com"}, "BASE_URL"),
        ({"BASE_URL": "http://[::1"}, "BASE_URL"),
        ({"API_KEY": "kit_\u00e9\u2028"}, "characters"),
        ({"API_KEY": "kit_one\nkit_two"}, "characters"),
    ],
)
def test_e029_what_no_client_can_be_made_of(marketing: Any, wrong: dict[str, str], word: str) -> None:
    marketing(CONNECTIONS={"news": {"PROVIDER": "kit", "API_KEY": "kit_one", **wrong}})

    message = found()["E029"]
    assert 'CONNECTIONS"]["news"]' in message.msg
    assert word in message.msg
    assert "kit_" not in message.msg


def test_a_key_that_was_read_from_a_file_with_its_last_newline_is_good(marketing: Any) -> None:
    marketing(CONNECTIONS={"news": {"PROVIDER": "kit", "API_KEY": " kit_one\n"}})

    assert found() == {}
    declared = Connection(name="news", provider="kit", source=ConnectionSource.SETTINGS)
    assert declared.account().credentials == {"API_KEY": "kit_one"}


def test_e025_options_that_do_not_parse(book: Book, marketing: Any) -> None:
    message = only(book, marketing, "news", {**PAPER, "LINES": "many"})

    assert message.id == "mktg_integration.E025"
    assert "LINES" in message.msg


@pytest.mark.parametrize("form", [[1], True, {"id": 1}, 1.5])
def test_e025_a_form_is_named_by_its_name_or_id(marketing: Any, form: Any) -> None:
    marketing(CONNECTIONS={"news": {"PROVIDER": "kit", "API_KEY": "kit_one", "FORM": form}})

    assert "FORM" in found()["E025"].msg


@pytest.mark.parametrize("form", ["Newsletter", 1, "", None])
def test_forms_that_can_be_used(marketing: Any, form: Any) -> None:
    marketing(CONNECTIONS={"news": {"PROVIDER": "kit", "API_KEY": "kit_one", "FORM": form}})

    assert found() == {}


@pytest.mark.parametrize(
    "again",
    [
        {"API_KEY": " kit_one\n"},
        {"API_KEY": "kit_one", "BASE_URL": "https://api.kit.com/"},
        {"API_KEY": "kit_one", "ACCESS_TOKEN": "token"},
    ],
)
def test_w007_one_account_with_two_connections(marketing: Any, again: dict[str, str]) -> None:
    news, blog = {"PROVIDER": "kit", "API_KEY": "kit_one"}, {"PROVIDER": "kit", "API_KEY": "kit_two"}
    marketing(CONNECTIONS={"news": news, "shop": {"PROVIDER": "kit", **again}, "blog": blog})

    ((number, message),) = found().items()
    assert number == "W007"
    assert "'news'" in message.msg
    assert '["shop"]' in message.msg
    assert "kit_one" not in message.msg


def test_accounts_of_one_oauth_client_are_not_one_account(marketing: Any) -> None:
    app = {"PROVIDER": "kit", "CLIENT_ID": "app", "CLIENT_SECRET": "secret"}
    marketing(CONNECTIONS={n: {**app, "ACCESS_TOKEN": n, "REFRESH_TOKEN": f"{n}-2"} for n in ("news", "shop")})

    assert found() == {}


def test_e026_consent_of_a_connection(book: Book, marketing: Any) -> None:
    assert only(book, marketing, "news", {**PAPER, "UNKNOWN_CONSENT": "yes"}).id == "mktg_integration.E026"


@pytest.mark.parametrize("path", ["tests.testapp.mappings.nobody", "nowhere.at.all", "tests.testapp.mappings.__name__"])
def test_e027_mappings_that_cannot_be_imported(book: Book, marketing: Any, path: str) -> None:
    message = only(book, marketing, "news", {**PAPER, "PROFILE": path})
    assert message.id == "mktg_integration.E027"
    assert '["news"]["PROFILE"]' in message.msg

    marketing(CONNECTIONS={"news": PAPER}, PROFILE=path)
    ((_, message),) = found().items()
    assert 'MKTG_INTEGRATION["PROFILE"]' in message.msg, "told once, not for each connection"


def test_e028_fields_that_a_provider_keeps_for_itself(book: Book, marketing: Any) -> None:
    message = only(book, marketing, "news", {**PAPER, "PROFILE": "tests.testapp.mappings.newsletter"})

    assert message.id == "mktg_integration.E028"
    assert "plan" in message.msg


def test_e028_knows_what_convertloop_keeps(marketing: Any) -> None:
    from mktg_integration.checks.connections import reserved_keys
    from mktg_integration.providers.registry import get_provider

    assert {"user_id", "email", "resubscribe"} <= reserved_keys(get_provider("convertloop"))


# The task engine


def test_e030_django_q2_is_not_installed(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_q"]

    assert "django_q" in str(found()["E030"].hint)


def test_e031_celery_is_not_installed(marketing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    marketing(TASK_ENGINE="celery")
    assert found() == {}

    monkeypatch.setattr("mktg_integration.checks.background.find_spec", lambda name: None)
    assert "mktg-integration[celery]" in str(found()["E031"].hint)


def test_e032_an_unknown_engine(marketing: Any) -> None:
    marketing(TASK_ENGINE="tests.ground.test_background.own_engine")
    assert found() == {}

    marketing(TASK_ENGINE="rq")
    assert "TASK_ENGINE" in found()["E032"].msg


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"timeout": None}, "E033"),
        ({"timeout": 200}, "E034"),
        ({"retry": 90}, "E034"),
        ({"max_attempts": 0}, "E035"),
        ({"ack_failures": True}, "E036"),
        ({"timeout": 75}, "E037"),
        ({"save_limit": 250}, "W001"),
        ({"sync": True}, "W002"),
        ({"orm": None}, "W004"),
        ({"timeout": "90"}, "E038"),
        ({"retry": []}, "E038"),
        ({"orm": ["default"]}, "E038"),
        ({"orm": "tasks"}, "E039"),
    ],
)
def test_clusters_that_lose_or_repeat_work(settings: Any, changes: dict[str, Any], expected: str) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **changes}

    ((number, message),) = found().items()
    assert number == expected
    assert message.hint


@pytest.mark.parametrize("cluster", [None, 5, "site"])
def test_e038_a_cluster_that_is_no_dict(settings: Any, cluster: Any) -> None:
    settings.Q_CLUSTER = cluster

    assert set(found()) == {"E038"}


@pytest.mark.parametrize("value", [None, "soon", [], {}])
@pytest.mark.parametrize("name", ["DRAIN_SECONDS", "CALL_SECONDS"])
def test_a_time_that_is_no_number_is_told_once(settings: Any, name: str, value: Any) -> None:
    settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, name: value}

    assert set(found()) == {"E003"}


def test_a_cluster_of_defaults_is_refused(settings: Any) -> None:
    settings.Q_CLUSTER = {}

    assert set(found()) == {"E033", "E035", "W001", "W004"}


def test_another_engine_needs_no_cluster(settings: Any, marketing: Any) -> None:
    settings.Q_CLUSTER = {}
    marketing(TASK_ENGINE="celery")

    assert found() == {}


# SQLite


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, ["transaction_mode", "timeout", "journal_mode=WAL"]),
        ({"transaction_mode": "IMMEDIATE", "timeout": 5}, ["timeout", "journal_mode=WAL"]),
        ({**GOOD_SQLITE, "transaction_mode": "EXCLUSIVE"}, []),
    ],
)
def test_w003_sqlite_that_locks_visitors_out(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], missing: list[str]
) -> None:
    use_sqlite(monkeypatch, "site.sqlite3", options)

    messages = found()

    assert ("W003" in messages) is bool(missing)
    for word in missing:
        assert word in str(messages["W003"].hint)


def test_w003_says_nothing_of_a_database_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    use_sqlite(monkeypatch, ":memory:", {})

    assert found() == {}
