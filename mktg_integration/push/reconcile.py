"""Compares what is wanted of everybody with what was last sent and what is known, and marks what differs.

This catches what no signal told of: ``QuerySet.update``, ``bulk_create``, raw SQL, a mapping that was changed. It makes
no call; page by page, so that its memory does not grow with the number of people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.utils import timezone

from mktg_integration.exceptions import MktgError
from mktg_integration.models import (
    Connection,
    Contact,
    DeadRow,
    Kind,
    Lane,
    Lead,
    OutboxRow,
    Run,
    RunKind,
    RunStatus,
    SyncState,
    Tagging,
)
from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Intent, Person, Plan
from mktg_integration.providers.values import is_same
from mktg_integration.push import introduce, outbox, people, wake
from mktg_integration.push.pages import subject_pages
from mktg_integration.signals import run_finished

EXAMPLES = 20
"""People that are named of each kind."""

COUNTS = ("people", "in_step", "missing", "different", "withdrawn", "drift", "waiting", "rejected", "refused", "extra")


@dataclass
class Reconciled:
    """How many people of each kind there are, and some of them by their subjects.

    ``missing``: wanted and never sent. ``different``: wanted otherwise than sent. ``withdrawn``: sent once, and wanted
    no more. These three are marked. ``drift``: only the service changed or deleted it, so it is left alone.
    ``waiting``: marked already. ``rejected``: dead, until replayed. ``refused``: the mapping fails, or somebody else
    has the address. ``extra``: contacts at the service that are nobody's here, as far as the mirror knows.
    """

    people: int = 0
    in_step: int = 0
    missing: int = 0
    different: int = 0
    withdrawn: int = 0
    drift: int = 0
    waiting: int = 0
    rejected: int = 0
    refused: int = 0
    extra: int = 0
    marked: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, subjects: Collection[str]) -> None:
        setattr(self, kind, getattr(self, kind) + len(subjects))
        room = EXAMPLES - len(self.examples.get(kind, ()))
        if subjects and room > 0 and kind != "in_step":
            self.examples.setdefault(kind, []).extend(sorted(subjects)[:room])

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in (*COUNTS, "marked")}


def reconcile(
    connection: Connection, *, dry_run: bool = False, on_page: Callable[[int], Any] | None = None
) -> Reconciled:
    """Compare everybody at one connection, and mark who is missing, different or withdrawn, as a backfill.

    Unsubscribes are marked as urgent. With ``dry_run`` nothing is written but the run. ``on_page`` is told how many
    people a page had. Raises ``ConfigurationError`` where the connection's options or its mapping cannot be used, and
    ``DatabaseError``; the run then says that it failed.
    """
    run = Run.objects.create(connection=connection, kind=RunKind.RECONCILE, started_at=timezone.now())
    found = Reconciled()
    try:
        _Reconcile(connection, found, run, dry_run=dry_run).everybody(on_page)
    except Exception as error:
        # The text of a foreign exception may hold somebody's data.
        run.detail = str(error)[:500] if isinstance(error, MktgError) else type(error).__name__
        _finish(run, RunStatus.FAILED, found)
        raise
    _finish(run, RunStatus.DONE, found)
    return found


def _finish(run: Run, status: RunStatus, found: Reconciled) -> None:
    run.status, run.finished_at, run.counts = status, timezone.now(), found.counts()
    run.save(update_fields=["status", "finished_at", "counts", "detail"])
    run_finished.send_robust(sender=Connection, connection=run.connection, run=run)


class _Reconcile:
    def __init__(self, connection: Connection, found: Reconciled, run: Run, *, dry_run: bool) -> None:
        self.connection = connection
        self.found = found
        self.run = run
        self.dry_run = dry_run
        self.driver = connection.driver
        self.options = self.driver.options(connection.account())
        self.lists_contacts = "contacts" in self.driver.introduction(self.options)
        self.catalogue = introduce.load_catalogue(connection)

    def everybody(self, on_page: Callable[[int], Any] | None) -> None:
        for page in self._pages():
            self._page(page)
            self.found.people += len(page)
            Run.objects.filter(pk=self.run.pk).update(counts=self.found.counts())
            if on_page is not None:
                on_page(len(page))
        strangers = Contact.objects.filter(connection=self.connection, subject="", deleted_at=None)
        self.found.extra = strangers.count()

    def _pages(self) -> Iterator[list[str]]:
        yield from subject_pages(get_user_model()._default_manager.all(), "user")
        yield from subject_pages(Lead.objects.filter(user=None), "lead")
        yield from self._gone_pages()

    def _gone_pages(self) -> Iterator[list[str]]:
        """People of whom something was sent and who are there no more, though no signal told of it."""
        states = SyncState.objects.filter(connection=self.connection).order_by("key").values_list("key", "subject")
        page = list(states[: outbox.PAGE])
        while page:
            gone = _gone([subject for _, subject in page])
            if gone:
                yield gone
            page = list(states.filter(key__gt=page[-1][0])[: outbox.PAGE])

    def _page(self, subjects: Sequence[str]) -> None:
        waiting = self._of_profiles(OutboxRow, subjects)
        rejected = self._of_profiles(DeadRow, subjects) - waiting
        self.found.add("waiting", waiting)
        self.found.add("rejected", rejected)
        compared = [subject for subject in subjects if subject not in waiting | rejected]
        if compared:
            self._compare(compared)

    def _of_profiles(self, model: type[OutboxRow | DeadRow], subjects: Sequence[str]) -> set[str]:
        keys = [f"{self.connection.pk}:{Kind.PROFILE.value}:{subject}" for subject in subjects]
        return set(model._default_manager.filter(pk__in=keys).values_list("subject", flat=True))

    def _compare(self, subjects: Sequence[str]) -> None:
        batch = self._load(subjects)
        plan = self.driver.plan(list(batch.people.values()), self.catalogue, self.options)
        planned = {key for call in plan.calls for key in call.items} | set(plan.verdicts)
        if self.lists_contacts:
            # Who refused and is no contact has nothing to be told; elsewhere nobody can tell without asking.
            planned = {key for key in planned if not _is_unknown_refusal(batch.people[key])}
        of_kind: dict[str, set[str]] = {"missing": set(), "different": set(), "withdrawn": set()}
        for key in planned:
            of_kind[_kind(batch.people[key])].add(key)
        drift = self._drifted({key: person for key, person in batch.people.items() if key not in planned})
        drift |= {key for key, state in batch.states.items() if key not in planned and _is_gone(state)}
        for kind, keys in of_kind.items():
            self.found.add(kind, keys)
        self.found.add("drift", drift)
        self.found.add("refused", batch.verdicts.keys())
        self.found.add("in_step", set(subjects) - planned - drift - batch.verdicts.keys())
        if planned and not self.dry_run:
            self._mark(planned, plan)

    def _load(self, subjects: Sequence[str]) -> people.Batch:
        rows = [OutboxRow(connection=self.connection, kind=Kind.PROFILE, subject=subject) for subject in subjects]
        # Loading may hand a contact over to its new owner, which is a write.
        alias = router.db_for_write(Contact)
        with transaction.atomic(using=alias) if self.dry_run else nullcontext():
            batch = people.load(self.connection, self.driver, self.options, rows)
            if self.dry_run:
                transaction.set_rollback(True, using=alias)
        return batch

    def _mark(self, planned: set[str], plan: Plan) -> None:
        urgent = {key for call in plan.calls if call.urgent for key in call.items}
        for lane, subjects in ((Lane.URGENT, urgent), (Lane.BACKFILL, planned - urgent)):
            outbox.mark(sorted(subjects), lane=lane, connections=[self.connection.pk])
        self.found.marked += len(planned)
        wake.wake_on_commit(urgent=bool(urgent))

    def _drifted(self, settled: dict[str, Person]) -> set[str]:
        """Who was told all that is wanted, and has other values, or fewer tags of ours, at the service now."""
        drift = {key for key, person in settled.items() if _has_drifted(person)}
        tagged = {
            f"{self.connection.pk}:{person.known.remote_id}": key
            for key, person in settled.items()
            if person.known is not None and person.owned_tags and key not in drift
        }
        if not tagged:
            return drift
        there: dict[str, set[str]] = {key: set() for key in tagged.values()}
        rows = Tagging.objects.filter(contact__in=list(tagged), deleted_at=None)
        for contact, name in rows.values_list("contact_id", "tag__name_key"):
            there[tagged[contact]].add(name)
        return drift | {key for key, names in there.items() if settled[key].owned_tags - names}


def _kind(person: Person) -> str:
    if person.intent is not Intent.SYNC:
        return "withdrawn"
    return "missing" if person.sent is None else "different"


def _is_unknown_refusal(person: Person) -> bool:
    is_unknown = person.sent is None and person.known is None
    return is_unknown and person.wanted is not None and person.wanted.consent is ConsentStatus.REFUSED


def _is_gone(state: SyncState) -> bool:
    """The contact was deleted at the service."""
    return state.contact is not None and state.contact.deleted_at is not None


def _has_drifted(person: Person) -> bool:
    if person.wanted is None or person.known is None:
        return False
    pairs = ((person.wanted.values, person.known.values), (person.wanted.company, person.known.company))
    return any(
        name in known and not is_same(value, known[name]) for wanted, known in pairs for name, value in wanted.items()
    )


def _gone(subjects: Sequence[str]) -> list[str]:
    """Those of these people that are no user and no lead of its own any more."""
    keys: dict[str, dict[str, str]] = {"user": {}, "lead": {}}
    for subject in subjects:
        kind, pk = outbox.parse_subject(subject)
        keys[kind][pk] = subject
    users = get_user_model()._default_manager.filter(pk__in=list(keys["user"]))
    leads = Lead.objects.filter(pk__in=list(keys["lead"]), user=None)
    there = {outbox.user_subject(pk) for pk in users.values_list("pk", flat=True)} if keys["user"] else set()
    there |= {outbox.lead_subject(pk) for pk in leads.values_list("pk", flat=True)} if keys["lead"] else set()
    return [subject for subject in subjects if subject not in there]
