"""Checks of the task engine: what loses work, runs it twice for ever, or kills it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string
from django.utils.translation import gettext

from mktg_integration.checks.messages import error, given, key, warning
from mktg_integration.conf import DEFAULTS

Q2_RETRY_DEFAULT = 60
Q2_SAVE_LIMIT_DEFAULT = 250
OTHER_BROKERS = ("orm", "broker_class", "iron_mq", "sqs", "mongo")


def check_background(**_: Any) -> list[CheckMessage]:
    values = given()
    if values is None:
        return []
    engine = values.get("TASK_ENGINE", DEFAULTS["TASK_ENGINE"])
    if engine == "django-q2":
        return list(_q2(values))
    if engine == "celery":
        return list(_celery())
    return list(_own(engine))


def _celery() -> Iterator[CheckMessage]:
    if find_spec("celery") is None:
        yield error(
            31,
            gettext('{TASK_ENGINE} is "celery", which is not installed.').format(TASK_ENGINE=key("TASK_ENGINE")),
            gettext("Install it: pip install 'mktg-integration[celery]'."),
        )


def _own(engine: Any) -> Iterator[CheckMessage]:
    try:
        found = import_string(engine) if isinstance(engine, str) else None
    except ImportError:
        found = None
    if not callable(found):
        yield error(
            32,
            gettext("{TASK_ENGINE} is neither known nor a function that can be imported.").format(
                TASK_ENGINE=key("TASK_ENGINE")
            ),
            gettext('Set it to "django-q2", to "celery", or to the dotted path of a function (path, ids, delay).'),
        )


def _q2(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if not apps.is_installed("django_q"):
        yield error(
            30,
            gettext("django_q is not in INSTALLED_APPS, so nothing would be sent."),
            gettext('Add "django_q" to INSTALLED_APPS, or set {TASK_ENGINE} to "celery".').format(
                TASK_ENGINE=key("TASK_ENGINE")
            ),
        )
    cluster = getattr(django_settings, "Q_CLUSTER", {})
    wrong = _not_a_cluster(cluster)
    if wrong:
        yield error(38, wrong, gettext("Give Q_CLUSTER as the installation's page shows it; times are numbers."))
        return
    alias = cluster.get("orm")
    if alias and alias not in django_settings.DATABASES:
        yield error(
            39,
            gettext('Q_CLUSTER["orm"] names {alias!r}, which is none of DATABASES: no task could be stored.').format(
                alias=alias
            ),
            gettext("Set it to one of: {choices}.").format(choices=", ".join(map(repr, django_settings.DATABASES))),
        )
    yield from _q2_times(values, cluster)
    yield from _q2_failures(cluster)
    yield from _q2_cost(cluster)


def _not_a_cluster(cluster: Any) -> str:
    if not isinstance(cluster, Mapping):
        return gettext("Q_CLUSTER is not a dict.")
    if not isinstance(cluster.get("orm"), str | None):
        return gettext('Q_CLUSTER["{name}"] is not a text.').format(name="orm")
    for name in ("timeout", "retry", "max_attempts", "save_limit"):
        if not isinstance(cluster.get(name, 0), int | float | None):
            return gettext('Q_CLUSTER["{name}"] is not a number.').format(name=name)
    return ""


def _q2_times(values: Mapping[str, Any], cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    timeout, retry = cluster.get("timeout"), cluster.get("retry") or Q2_RETRY_DEFAULT
    times = [values.get(name, DEFAULTS[name]) for name in ("DRAIN_SECONDS", "CALL_SECONDS")]
    if not all(isinstance(seconds, int | float) for seconds in times):
        return  # reported with the types
    longest = sum(times)
    if not timeout:
        yield error(
            33,
            gettext("Q_CLUSTER has no timeout: a task that hangs would hold its worker for ever."),
            gettext('Set Q_CLUSTER["timeout"] to {longest:g} (seconds).').format(longest=longest + 15),
        )
        return
    if timeout >= retry:
        yield error(
            34,
            gettext(
                "Q_CLUSTER's timeout is not less than its retry: a task would be started again while it still runs."
            ),
            gettext('Set Q_CLUSTER["retry"] to {wanted:g} (it is {retry:g}, the timeout {timeout:g} seconds).').format(
                wanted=2 * timeout, retry=retry, timeout=timeout
            ),
        )
    if timeout <= longest:
        yield error(
            37,
            gettext(
                "Q_CLUSTER's timeout would kill a drain, which may take {DRAIN_SECONDS} and a last call of "
                "{CALL_SECONDS}: {longest:g} seconds."
            ).format(DRAIN_SECONDS=key("DRAIN_SECONDS"), CALL_SECONDS=key("CALL_SECONDS"), longest=longest),
            gettext('Set Q_CLUSTER["timeout"] to {longest:g}, or {DRAIN_SECONDS} to less.').format(
                longest=longest + 15, DRAIN_SECONDS=key("DRAIN_SECONDS")
            ),
        )


def _q2_failures(cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if not cluster.get("max_attempts"):
        yield error(
            35,
            gettext("Q_CLUSTER has no max_attempts: a task that fails is tried again for ever."),
            gettext(
                'Set Q_CLUSTER["max_attempts"] to 5. What was not sent stays in the outbox, and the schedule finds it.'
            ),
        )
    if cluster.get("ack_failures"):
        yield error(
            36,
            gettext("Q_CLUSTER has ack_failures: a task that fails would not be tried again."),
            gettext('Remove Q_CLUSTER["ack_failures"].'),
        )


def _q2_cost(cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if cluster.get("save_limit", Q2_SAVE_LIMIT_DEFAULT) != -1:
        yield warning(
            1,
            gettext(
                "Q_CLUSTER's save_limit is not -1: storing each success makes django-q2 about six times slower "
                "(measured: 211 instead of 1,388 empty tasks a second)."
            ),
            gettext('Set Q_CLUSTER["save_limit"] to -1; failures are stored all the same.'),
        )
    if cluster.get("sync"):
        yield warning(
            2,
            gettext("Q_CLUSTER has sync: each signup would wait for the services."),
            gettext('Remove Q_CLUSTER["sync"] outside of tests.'),
        )
    elif not any(cluster.get(broker) for broker in OTHER_BROKERS):
        yield warning(
            4,
            gettext("django-q2 uses its Redis broker, which was seen to lose the task of a worker that was killed."),
            gettext('Set Q_CLUSTER["orm"] to "default", so that tasks are kept in the site\'s database.'),
        )
