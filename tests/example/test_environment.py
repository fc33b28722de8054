"""What the example makes of its environment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from example_project.environment import connections, database, local_secrets, oauth_apps
from tests.example.processes import manage, settings_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////var/db/site.sqlite3", {"NAME": "/var/db/site.sqlite3"}),
        ("sqlite:///site%20one.sqlite3", {"NAME": "site one.sqlite3"}),
        ("sqlite://", {"NAME": ":memory:"}),
        (
            "postgres://jane:p%40ss@db.example:5433/site",
            {"NAME": "site", "USER": "jane", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": "5433"},
        ),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/site", {"NAME": "site", "HOST": "/var/run/postgresql", "PORT": ""}),
        ("mysql://root@127.0.0.1:3306/site", {"USER": "root", "OPTIONS": {"charset": "utf8mb4"}}),
        ("mariadb://root@h/site?connect_timeout=3", {"OPTIONS": {"charset": "utf8mb4", "connect_timeout": 3}}),
    ],
)
def test_a_database_url_says_where_the_database_is(url: str, expected: dict[str, object]) -> None:
    assert database(url).items() >= expected.items()


def test_sqlite_is_tuned_unless_told_otherwise() -> None:
    assert database("sqlite:///x")["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database("sqlite:///x", tune_sqlite=False)["OPTIONS"] == {}
    assert database("sqlite:///x?timeout=7")["OPTIONS"]["timeout"] == 7


def test_an_unknown_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'oracle'; use one of: mariadb, mysql, postgres"):
        database("oracle://x/y")


def test_without_credentials_all_three_are_the_sandboxs() -> None:
    found = connections({"SANDBOX_URL": "http://127.0.0.1:1/"})
    assert {name: given["BASE_URL"] for name, given in found.items()} == {
        "kit": "http://127.0.0.1:1/kit",
        "conversion": "http://127.0.0.1:1/conversion/api",
        "convertloop": "http://127.0.0.1:1/convertloop/v1",
    }


def test_a_provider_with_a_credential_has_a_connection_of_its_name() -> None:
    environ = {
        "KIT_API_KEY": "k",
        "KIT_BASE_URL": "http://kit",
        "CONVERTLOOP_APP_ID": "a",
        "CONVERTLOOP_API_KEY": "b",
        "CONVERSION_API_KEY": "",
    }
    assert connections(environ) == {
        "kit": {"PROVIDER": "kit", "API_KEY": "k", "BASE_URL": "http://kit"},
        "convertloop": {"PROVIDER": "convertloop", "APP_ID": "a", "API_KEY": "b"},
    }


def test_of_key_and_token_the_token_is_used_because_it_can_do_more() -> None:
    environ = {"KIT_API_KEY": "k", "KIT_ACCESS_TOKEN": "t", "KIT_CLIENT_ID": "c", "KIT_CLIENT_SECRET": "s"}
    expected = {"PROVIDER": "kit", "ACCESS_TOKEN": "t", "CLIENT_ID": "c", "CLIENT_SECRET": "s"}
    assert connections(environ) == {"kit": expected}


def test_a_client_id_alone_is_no_reason_to_use_the_sandbox() -> None:
    assert connections({"KIT_CLIENT_ID": "c"}) == {}


def test_the_app_of_the_environment_connects_accounts() -> None:
    environ = {
        "KIT_CLIENT_ID": "id",
        "KIT_CLIENT_SECRET": "s",
        "KIT_AUTHORIZE_URL": "http://kit/a",
        "KIT_BASE_URL": "http://kit",
    }
    assert oauth_apps(environ) == {
        "kit": {"CLIENT_ID": "id", "CLIENT_SECRET": "s", "AUTHORIZE_URL": "http://kit/a", "BASE_URL": "http://kit"}
    }
    assert oauth_apps({"KIT_API_KEY": "k"}) == {}


def test_without_credentials_the_app_is_the_sandboxs() -> None:
    app = oauth_apps({"SANDBOX_URL": "http://127.0.0.1:1/"})["kit"]
    assert app["AUTHORIZE_URL"] == "http://127.0.0.1:1/kit/oauth/authorize"
    assert app["CLIENT_ID"]


def test_processes_that_start_together_have_the_same_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: local_secrets(path), range(16)))
    assert all(one == kept[0] for one in kept)
    assert json.loads(path.read_text()) == kept[0]
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_secrets_lie_beside_the_database_and_stay(tmp_path: Path) -> None:
    first = settings_of(tmp_path, "settings.MKTG_INTEGRATION['ENCRYPTION_KEYS'], settings.SECRET_KEY")
    assert (tmp_path / "example.sqlite3-secrets.json").exists()
    assert settings_of(tmp_path, "settings.MKTG_INTEGRATION['ENCRYPTION_KEYS'], settings.SECRET_KEY") == first


def test_given_keys_are_used_and_no_file_is_made(tmp_path: Path) -> None:
    shown = settings_of(
        tmp_path, "settings.MKTG_INTEGRATION['ENCRYPTION_KEYS']", ENCRYPTION_KEYS="one, two", SECRET_KEY="s"
    )
    assert shown == "['one', 'two']"
    assert not list(tmp_path.iterdir())


def test_the_settings_pass_every_check(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_on_sqlite_as_django_has_it_the_checks_only_advise(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", EXAMPLE_SQLITE="default")
    assert done.returncode == 0, done.stderr
    assert "transaction_mode" in done.stderr


def test_no_migration_is_missing(tmp_path: Path) -> None:
    done = manage(tmp_path, "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
