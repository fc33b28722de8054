"""Compares what is wanted of everybody with what was last sent and what is known, and marks what differs.

This catches what no signal told of: ``QuerySet.update``, ``bulk_create``, raw SQL, a mapping that was changed. It makes
no call; page by page, so that its memory does not grow with the number of people, and in parts: where it was is kept
with its counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections as databases
from django.db import router
from django.utils import timezone

from mktg_integration.conf import settings
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
from mktg_integration.people import lead_subject, parse_subject, user_subject
from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Intent, Person, Plan
from mktg_integration.providers.values import is_same
from mktg_integration.push import introduce, outbox, people, wake
from mktg_integration.push.pages import count_everybody, everybody
from mktg_integration.running import CUT_OFF, Cancelled, RunWriter, TakenOver

logger = logging.getLogger("mktg_integration.push")

EXAMPLES = 20
"""People that are named of each kind."""
CANARIES = 100
"""People of a canary that are named."""
LOCKED = 100
"""People who are loaded at once where that keeps others from writing."""
LOCKED_SECONDS = 0.1
"""The longest that others are then let write."""
FIELDS = 200
"""Names of fields that are counted."""

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
    fields: dict[str, int] = field(default_factory=dict)
    """Of those who are ``different``: how many, by the name of what would change."""
    status: str = ""
    """How the run ended (``RunStatus``), with what is to be said of it."""
    detail: str = ""

    @classmethod
    def so_far(cls, run: Run) -> Reconciled:
        """What the earlier parts of a run have found."""
        counts = {name: run.counts.get(name, 0) for name in (*COUNTS, "marked")}
        return cls(**counts, examples=dict(run.examples), fields=dict(run.counts.get("fields", {})))

    def differs(self, names: Collection[str]) -> None:
        for name in names:
            if name in self.fields or len(self.fields) < FIELDS:
                self.fields[name] = self.fields.get(name, 0) + 1

    def add(self, kind: str, subjects: Collection[str]) -> None:
        setattr(self, kind, getattr(self, kind) + len(subjects))
        room = EXAMPLES - len(self.examples.get(kind, ()))
        if subjects and room > 0 and kind != "in_step":
            self.examples.setdefault(kind, []).extend(sorted(subjects)[:room])

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in (*COUNTS, "marked")}


def reconcile(
    connection: Connection,
    *,
    dry_run: bool = False,
    limit: int | None = None,
    on_page: Callable[[int], Any] | None = None,
) -> Reconciled:
    """Compare everybody at one connection, and mark who is missing, different or withdrawn, as a backfill.

    Unsubscribes are marked as urgent. With ``dry_run``, and where the connection is a dry run, nothing is written but
    the run; with ``limit`` it ends once so many people are marked. ``on_page`` is told how many people a page had.
    Raises ``ConfigurationError`` where the connection's options or its mapping cannot be used, and ``DatabaseError``;
    the run then says that it failed.
    """
    run = Run.objects.create(
        connection=connection,
        kind=RunKind.RECONCILE,
        started_at=timezone.now(),
        counts={"asked": {"preview": dry_run, "limit": limit}},
        is_preview=dry_run,
    )
    writer = RunWriter(run)
    found = Reconciled()
    if writer.begin():
        _work(writer, found, seconds=None, on_page=on_page)
    found.status, found.detail = run.status, run.detail
    return found


def work(run_id: int, *, seconds: float) -> bool:
    """Go on with a reconcile for about ``seconds``. Whether it needs another part.

    Raises ``DatabaseError``, and what the site's own code raises; the run then says that it failed.
    """
    run = Run.objects.select_related("connection").filter(pk=run_id, kind=RunKind.RECONCILE).first()
    if run is None:
        return False
    writer = RunWriter(run)
    if not writer.begin():
        return False
    try:
        return _work(writer, Reconciled.so_far(run), seconds=seconds)
    except MktgError as error:
        logger.error("%s is not reconciled: %s", run.connection.name, error)  # noqa: TRY400 (the text says it all)
        return False


def _work(
    writer: RunWriter, found: Reconciled, *, seconds: float | None, on_page: Callable[[int], Any] | None = None
) -> bool:
    status, detail = RunStatus.DONE, ""
    work: _Reconcile | None = None
    try:
        work = _Reconcile(writer, found)
        if not work.go_on(None if seconds is None else time.monotonic() + seconds, on_page):
            writer.pause(RunStatus.RUNNING, "", **work.told())
            return True
        detail = work.said
    except Cancelled:
        status = RunStatus.CANCELLED
    except TakenOver:
        return False
    except TooManyDifferError as error:
        status, detail = RunStatus.FAILED, str(error)
    except Exception as error:
        # The text of a foreign exception may hold somebody's data.
        detail = str(error) if isinstance(error, MktgError) else type(error).__name__
        writer.error("", type(error).__name__, detail)
        writer.end(RunStatus.FAILED, detail, **(work.told() if work is not None else {}))
        raise
    except BaseException:
        writer.end(RunStatus.FAILED, CUT_OFF, **(work.told() if work is not None else {}))
        raise
    writer.end(status, detail, **(work.told() if work is not None else {}))
    return False


class TooManyDifferError(MktgError):
    """Far more people differ than the preview that was confirmed has told."""


class _Reconcile:
    def __init__(self, writer: RunWriter, found: Reconciled) -> None:
        self.writer = writer
        self.connection: Connection = writer.run.connection
        self.found = found
        self.asked: dict[str, Any] = writer.run.counts["asked"]
        self.place: list[Any] = writer.run.counts.get("place") or ["user", None]
        self.total: int | None = writer.run.total
        self.limit: int | None = self.asked.get("limit")
        self.marks = not self.asked["preview"] and not self.connection.dry_run
        self.driver = self.connection.driver
        self.options = self.driver.options(self.connection.account())
        self.lists_contacts = "contacts" in self.driver.introduction(self.options)
        self.catalogue = introduce.load_catalogue(self.connection)
        self.alias = router.db_for_write(Contact)
        # Without marks people are loaded in a transaction that is taken back: on SQLite nobody else writes meanwhile.
        self.locks = not self.marks and databases[self.alias].vendor == "sqlite"
        self.at_once = LOCKED if self.locks else outbox.PAGE

    @property
    def said(self) -> str:
        """What is to be known of it beside the counts."""
        if self.connection.dry_run and not self.asked["preview"]:
            return "the connection is a dry run: nobody was marked and nothing is sent"
        return ""

    def go_on(self, ends_at: float | None, on_page: Callable[[int], Any] | None) -> bool:
        """Page after page from where it was. Whether it came to its end before ``ends_at``."""
        if self.total is None:
            self.total = count_everybody()
        for page, place in self._pages(*self.place):
            self._page(page)
            self.found.people += len(page)
            self.place = place
            if self.writer.is_due:
                self.writer.moved(**self.told())
            if on_page is not None:
                on_page(len(page))
            if self._is_enough():
                return True
            if ends_at is not None and time.monotonic() >= ends_at:
                return False
        strangers = Contact.objects.filter(connection=self.connection, subject="", deleted_at=None)
        self.found.extra = strangers.count()
        if self.found.extra:
            self.found.examples["extra"] = list(strangers.order_by("key").values_list("key", flat=True)[:EXAMPLES])
        return True

    def told(self) -> dict[str, Any]:
        """What the run's row is to hold."""
        counts = {**self.writer.run.counts, **self.found.counts(), "fields": self.found.fields, "place": self.place}
        return {"counts": counts, "examples": self.found.examples, "total": self.total}

    def _is_enough(self) -> bool:
        return self.limit is not None and self.found.marked >= self.limit

    def _pages(self, stage: str, after: str | None) -> Iterator[tuple[list[str], list[Any]]]:
        """People, and the place after them."""
        if stage != "gone":
            for page in everybody("user" if stage == "user" else "lead", after):
                yield page.subjects, [page.stage, page.last]
            after = None
        yield from self._gone_pages(after or "")

    def _gone_pages(self, after: str) -> Iterator[tuple[list[str], list[Any]]]:
        """People of whom something was sent and who are there no more, though no signal told of it."""
        states = SyncState.objects.filter(connection=self.connection).order_by("key").values_list("key", "subject")
        page = list(states.filter(key__gt=after)[: outbox.PAGE])
        while page:
            last = page[-1][0]
            gone = _gone([subject for _, subject in page])
            if gone:
                yield gone, ["gone", last]
            page = list(states.filter(key__gt=last)[: outbox.PAGE])

    def _page(self, subjects: Sequence[str]) -> None:
        waiting = self._of_profiles(OutboxRow, subjects)
        rejected = self._of_profiles(DeadRow, subjects) - waiting
        self.found.add("waiting", waiting)
        self.found.add("rejected", rejected)
        compared = [subject for subject in subjects if subject not in waiting | rejected]
        for start in range(0, len(compared), self.at_once):
            self._compare(compared[start : start + self.at_once])

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
        for key in of_kind["different"]:
            self.found.differs(_changes(batch.people[key]))
        for key, verdict in batch.verdicts.items():
            self.writer.error(key, verdict.code, verdict.reason)
        drift = self._drifted({key: person for key, person in batch.people.items() if key not in planned})
        drift |= {key for key, state in batch.states.items() if key not in planned and _is_gone(state)}
        for kind, keys in of_kind.items():
            self.found.add(kind, keys)
        self.found.add("drift", drift)
        self.found.add("refused", batch.verdicts.keys())
        self.found.add("in_step", set(subjects) - planned - drift - batch.verdicts.keys())
        if planned and self.marks:
            self._mark(self._chosen(planned), plan)

    def _load(self, subjects: Sequence[str]) -> people.Batch:
        rows = [OutboxRow(connection=self.connection, kind=Kind.PROFILE, subject=subject) for subject in subjects]
        since = time.monotonic()
        load = people.load if self.marks else people.preview
        batch = load(self.connection, self.driver, self.options, rows)
        if self.locks:
            time.sleep(min(time.monotonic() - since, LOCKED_SECONDS))
        return batch

    def _chosen(self, planned: set[str]) -> set[str]:
        """Of a canary as many as are left of it. Raises ``TooManyDifferError``."""
        if self.limit is not None:
            chosen = sorted(planned)[: self.limit - self.found.marked]
            self.found.examples.setdefault("marked", []).extend(chosen[:CANARIES])
            return set(chosen)
        told = self.asked.get("told")
        if told is not None:
            most = told + max(settings.MASS_MINIMUM, settings.MASS_SHARE * told)
            if self.found.marked + len(planned) > most:
                raise TooManyDifferError(
                    f"far more people differ than the {told} that the preview told of: make another preview"
                )
        return planned

    def _mark(self, planned: set[str], plan: Plan) -> None:
        urgent = {key for call in plan.calls if call.urgent for key in call.items} & planned
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


def _changes(person: Person) -> set[str]:
    """Names of what would be sent of somebody of whom something was sent before."""
    wanted, sent = person.wanted, person.sent
    if wanted is None or sent is None:
        return set()
    names = {name for name, value in wanted.values.items() if not is_same(value, sent.values.get(name))}
    names |= {f"company.{name}" for name, value in wanted.company.items() if not is_same(value, sent.company.get(name))}
    if wanted.email != sent.email:
        names.add("email")
    if wanted.tags != sent.tags or person.drop_tags:
        names.add("tags")
    if wanted.consent is not sent.consent or wanted.evidence != sent.evidence:
        names.add("consent")
    return names


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
        kind, pk = parse_subject(subject)
        keys[kind][pk] = subject
    users = get_user_model()._default_manager.filter(pk__in=list(keys["user"]))
    leads = Lead.objects.filter(pk__in=list(keys["lead"]), user=None)
    there = {user_subject(pk) for pk in users.values_list("pk", flat=True)} if keys["user"] else set()
    there |= {lead_subject(pk) for pk in leads.values_list("pk", flat=True)} if keys["lead"] else set()
    return [subject for subject in subjects if subject not in there]
