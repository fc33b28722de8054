"""The steps of ``.ci/run`` one by one, each in an environment of its own: ``nox -s lint``, ``nox -s tests``."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "migrations", "tests", "docs"]
EXTRAS = "celery,metrics,openapi,postgresql,mysql"
DATABASES = {
    "sqlite": "",
    "postgresql": os.environ.get("CI_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/mktg_ci"),
    "mariadb": os.environ.get("CI_MARIADB_URL", "mysql://root@127.0.0.1:3306/mktg_ci"),
}


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The tests on SQLite, as README has them."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("database", list(DATABASES))
def databases(session: nox.Session, database: str) -> None:
    """All tests but those in a browser, the slow ones too, on one database."""
    session.install("-e", f".[test,{EXTRAS}]")
    address = DATABASES[database]
    env = {"DATABASE_URL": address} if address else {}
    session.run("pytest", "--create-db", "-m", "not browser", *session.posargs, env=env)


@nox.session
def browser(session: nox.Session) -> None:
    """The pages in a headless Chromium, which has to be installed."""
    session.install("-e", f".[dev,{EXTRAS}]")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", f".[dev,{EXTRAS}]")
    session.run("mypy")


@nox.session
def migrations(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run("python", "-m", "django", "makemigrations", "--check", "--dry-run", "--settings", "tests.settings")
    session.run("python", "example_project/manage.py", "makemigrations", "--check", "--dry-run")


@nox.session
def docs(session: nox.Session) -> None:
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-E", "docs", "docs/_build/html")


@nox.session
def messages(session: nox.Session) -> None:
    """Bring the translations' catalogues up to date, and say what has still to be translated."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.languages.messages")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build, and install into an empty environment."""
    session.install("build>=1.2")
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder)
    session.install("--force-reinstall", *(entry.path for entry in os.scandir(folder) if entry.name.endswith(".whl")))
    session.run("python", "-m", "mktg_integration.sandbox", "--help", silent=True)
