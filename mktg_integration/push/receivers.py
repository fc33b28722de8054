"""What makes a save, a deletion or a group's change mark the person: the receivers of Django's signals.

They are connected to the user model with its proxies and subclasses, never to all models: a receiver for all models
would slow down every deletion of the site.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.core.signals import setting_changed
from django.db import DatabaseError, connections, models
from django.db.models.signals import ModelSignal, m2m_changed, post_save, pre_delete

from mktg_integration.conf import NAME, settings
from mktg_integration.exceptions import ConfigurationError, MktgError
from mktg_integration.models import Connection, ConnectionSource, Kind, Lane
from mktg_integration.people import user_subject
from mktg_integration.profile import IGNORED_BY_DEFAULT
from mktg_integration.push import outbox, wake

logger = logging.getLogger("mktg_integration.push")

UID = "mktg_integration.push"

NEVER_SENT = frozenset({"password"})
"""No mapping may tell a service of these, so a change of them alone (a password hashed anew at login) marks nothing."""

_STORED_MAPPINGS_SECONDS = 60.0

Resolver = Callable[[Any], Iterable[Any]]
"""Of a watched object: the primary keys of the users whose profiles it is part of."""

_connected: list[tuple[ModelSignal, Any, str]] = []
_ignored: dict[str, tuple[float, frozenset[str]]] = {}
_Model = type[models.Model]


def connect() -> None:
    """Connect the receivers; again when ``WATCH`` or the user model has changed (idempotent).

    What is wrong in ``WATCH`` is logged and left out: this runs while Django starts, and a system check refuses it.
    """
    disconnect()
    user_model = get_user_model()
    for model in _with_subclasses(user_model):
        _connect(post_save, _user_saved, model)
        _connect(pre_delete, _user_deleted, model)
    groups = _field(user_model, "groups")
    if isinstance(groups, models.ManyToManyField):
        _connect(m2m_changed, _links_changed, groups.remote_field.through)
        for model in _with_subclasses(groups.related_model):
            _connect(pre_delete, partial(_group_deleted, groups), model)
    for label, path in settings.WATCH.items() if isinstance(settings.WATCH, Mapping) else ():
        try:
            _watch(label, str(path))
        except ConfigurationError as error:
            logger.error("%s", error)  # noqa: TRY400 (the text says it all)


def disconnect() -> None:
    """Take all receivers away; ``connect()`` brings them back."""
    _ignored.clear()
    while _connected:
        signal, sender, uid = _connected.pop()
        signal.disconnect(sender=sender, dispatch_uid=uid)


def _connect(signal: ModelSignal, receiver: Callable[..., None], sender: Any) -> None:
    name = getattr(receiver, "func", receiver).__name__
    uid = f"{UID}.{name}.{sender._meta.label_lower}"
    # Not weakly: a partial has no other owner.
    signal.connect(receiver, sender=sender, weak=False, dispatch_uid=uid)
    _connected.append((signal, sender, uid))


def _with_subclasses(model: _Model) -> list[_Model]:
    """A signal is sent by the class that was saved, which may be a proxy or a multi-table subclass."""
    return [other for other in apps.get_models(include_auto_created=True) if issubclass(other, model)]


def _field(model: _Model, name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _reconnect(*, setting: str, **_: Any) -> None:
    if setting in (NAME, "AUTH_USER_MODEL"):
        connect()


setting_changed.connect(_reconnect, dispatch_uid=UID)


# Marking


def _mark(pks: Iterable[Any], *, lane: Lane = Lane.LIVE) -> None:
    """Mark these users, and wake the drains on commit. Many at once are a backfill, which delays no signup."""
    subjects = [user_subject(pk) for pk in pks if pk is not None]
    if not subjects:
        return
    if len(subjects) > outbox.PAGE:
        lane = Lane.BACKFILL
    _queue(lambda: outbox.mark(subjects, lane=lane), urgent=lane == Lane.URGENT)


def _queue(write: Callable[[], None], *, urgent: bool) -> None:
    """Within a transaction the mark lives and dies with it; where there is none, its failure is not the caller's."""
    try:
        write()
    except (DatabaseError, MktgError, ValueError) as error:
        if connections[outbox.alias()].in_atomic_block:
            raise
        logger.error("A change could not be marked (%s); reconcile will find it", type(error).__name__)  # noqa: TRY400
        return
    wake.wake_on_commit(urgent=urgent)


# Users


def _user_saved(
    sender: _Model, instance: Any, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    if raw or (update_fields is not None and _means_nothing(update_fields)):
        return
    _mark([instance.pk])


def _user_deleted(sender: _Model, instance: Any, **_: Any) -> None:
    """Before the row is gone, because its address is needed; within Django's own transaction of the deletion."""
    if settings.ON_USER_DELETE == "keep":
        return
    address = getattr(instance, instance.get_email_field_name(), "") or ""
    if not address.strip():
        _mark([instance.pk], lane=Lane.URGENT)
        return
    # With the address: what was sent may not have been written down yet.
    payload = {"email": address, "leaves": settings.ON_USER_DELETE == "unsubscribe", "deleted": True}
    subject, key = user_subject(instance), "deleted"
    _queue(lambda: outbox.add_occurrence(Kind.ERASURE, subject, key, payload, lane=Lane.URGENT), urgent=True)


def _means_nothing(fields: Collection[str]) -> bool:
    """Whether every mapping says that a change of these fields alone is nothing to it."""
    fields = set(fields) - NEVER_SENT
    return not fields or fields <= _ignored_by_all()


def _ignored_by_all() -> frozenset[str]:
    """What all mappings of the site ignore. Stored connections may name mappings too: those are read once a minute."""
    found = _ignored.get("")
    if found is not None and found[0] > time.monotonic():
        return found[1]
    paths = {settings.PROFILE, *(given["PROFILE"] for given in settings.CONNECTIONS.values() if given.get("PROFILE"))}
    stored = Connection.objects.filter(source=ConnectionSource.STORED, push_enabled=True)
    paths |= {given["PROFILE"] for given in stored.values_list("stored_options", flat=True) if given.get("PROFILE")}
    try:
        ignores = [getattr(settings.import_path(path, "PROFILE"), "ignores", IGNORED_BY_DEFAULT) for path in paths]
    except Exception as error:  # noqa: BLE001 (the site's own module: its fault must not stop the site's save)
        said = error if isinstance(error, ConfigurationError) else type(error).__name__
        logger.error("PROFILE cannot be read (%s): until it is corrected, every save marks its user", said)  # noqa: TRY400
        ignores = [frozenset()]
    common = frozenset.intersection(*(frozenset(names) for names in ignores))
    _ignored[""] = (time.monotonic() + _STORED_MAPPINGS_SECONDS, common)
    return common


# Groups, and other many-to-many links of users


def _links_changed(
    sender: _Model,
    instance: Any,
    action: str,
    reverse: bool,
    model: _Model,
    pk_set: Collection[Any] | None,
    using: str,
    **_: Any,
) -> None:
    """Both directions: ``user.groups.add(group)``, and ``group.user_set.add(user)``."""
    user_model = get_user_model()
    if isinstance(instance, user_model):
        if action == "post_clear" or (action in ("post_add", "post_remove") and pk_set):
            _mark([instance.pk])
    elif not issubclass(model, user_model):
        return
    elif action == "pre_clear":
        # Afterwards nobody knows who they were. Django clears in a transaction, so no drain comes in between.
        _mark(_linked(sender, instance, user_model, using))
    elif action in ("post_add", "post_remove"):
        _mark(pk_set or ())


def _linked(through: _Model, instance: Any, user_model: _Model, using: str) -> list[Any]:
    to_user = next(field for field in _foreign_keys(through) if issubclass(field.related_model, user_model))
    to_other = next(field for field in _foreign_keys(through) if isinstance(instance, field.related_model))
    rows = through._default_manager.using(using).filter(**{to_other.name: instance})
    return list(rows.values_list(to_user.attname, flat=True))


def _foreign_keys(model: _Model) -> list[Any]:
    return [field for field in model._meta.fields if isinstance(field, models.ForeignKey)]


def _group_deleted(groups: Any, sender: _Model, instance: Any, using: str, **_: Any) -> None:
    """The links go with the group, without a signal of theirs."""
    _mark(_linked(groups.remote_field.through, instance, get_user_model(), using))


# Watched models


def _watch(label: str, path: str) -> None:
    where = f'{NAME}["WATCH"]["{label}"]'
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        raise ConfigurationError(f"{where}: there is no such model; name it as app_label.Model") from None
    if model._meta.auto_created:
        _connect(m2m_changed, _links_changed, model)
        return
    receiver = partial(_watched_changed, where, _resolver(model, path, where))
    for sender in _with_subclasses(model):
        _connect(post_save, receiver, sender)
        _connect(pre_delete, receiver, sender)


def _watched_changed(where: str, resolve: Resolver, sender: _Model, instance: Any, raw: bool = False, **_: Any) -> None:
    if raw:
        return
    try:
        pks = list(resolve(instance))
    except ObjectDoesNotExist:
        return
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 (the site's own function: its fault must not stop the site's save)
        logger.error("%s failed (%s); the users are left to reconcile", where, type(error).__name__)  # noqa: TRY400
        return
    _mark(pks)


def _resolver(model: _Model, path: str, where: str) -> Resolver:
    """``path`` is attributes of the object that lead to a user or to users, or a function that takes the object."""
    names = path.split(".")
    if hasattr(model, names[0]):
        return partial(_follow, names)
    function = settings.import_path(path, where)
    if not callable(function):
        raise ConfigurationError(f"{where}: {path!r} is neither a function nor an attribute of {model.__name__}")
    return lambda instance: _pks(function(instance))


def _follow(names: list[str], instance: Any) -> Iterable[Any]:
    for name in names[:-1]:
        instance = getattr(instance, name)
        if instance is None:
            return ()
    link = _field(type(instance), names[-1])
    if isinstance(link, models.ForeignKey) and link.target_field.primary_key:
        # The key is at hand: the user need not be fetched.
        return (getattr(instance, link.attname),)
    return _pks(getattr(instance, names[-1]))


def _pks(found: Any) -> Iterable[Any]:
    """Of a user, a primary key, None, or several of them."""
    if isinstance(found, models.Manager):
        found = found.all()
    if isinstance(found, models.QuerySet):
        return found.values_list("pk", flat=True)
    if isinstance(found, models.Model) or found is None or isinstance(found, str | int | uuid.UUID):
        found = (found,)
    return [getattr(one, "pk", one) for one in found]
