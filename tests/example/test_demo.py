"""The demo's judgement of what arrived, and that it leaves nothing running behind."""

from __future__ import annotations

import io
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from example_project.demo.arrivals import Arrivals, look
from example_project.demo.processes import ChildError, Children, free_port
from example_project.demo.report import Screen, in_words, table
from example_project.demo.visitors import Visitor, visitors
from mktg_integration.sandbox.credentials import CONVERTLOOP_API_KEY, CONVERTLOOP_APP_ID, KIT_ACCESS_TOKEN
from mktg_integration.sandbox.server import Sandbox
from tests.example.processes import MANAGE, environment

ADA = Visitor(email="ada@example.com", first_name="Ada", topics=frozenset({"Events"}))
BEN = Visitor(email="ben@example.com", first_name="Ben", newsletter=False)


def test_no_two_visitors_are_alike_and_all_kinds_are_among_them() -> None:
    people = visitors(25)
    assert len({person.email for person in people}) == 25
    assert {person.newsletter for person in people} == {True, False}
    assert {bool(person.topics) for person in people} == {True, False}
    assert {bool(person.company) for person in people} == {True, False}


# What arrived


def tell_convertloop(sandbox: Sandbox, **person: Any) -> None:
    answer = requests.post(
        f"{sandbox.convertloop_url}/people", json=person, auth=(CONVERTLOOP_APP_ID, CONVERTLOOP_API_KEY), timeout=5
    )
    assert answer.ok


def at_convertloop(sandbox: Sandbox, *people: Visitor) -> Arrivals:
    return next(one for one in look(sandbox.url, people) if one.service == "convertloop")


def test_a_person_who_is_as_wanted_is_right(mktg_sandbox: Sandbox) -> None:
    tell_convertloop(mktg_sandbox, email=ADA.email, user_id="1", first_name="Ada", add_to_segments=["Events"])
    found = at_convertloop(mktg_sandbox, ADA)
    assert (found.people, found.right, found.calls, found.least) == (1, 1, 1, 1)
    assert found.complete
    assert found.undocumented == 0


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"first_name": "Eve", "add_to_segments": ["Events"]}, "first_name"),
        ({"first_name": "Ada", "add_to_segments": ["Events", "Tutorials"]}, "segments"),
        ({"first_name": "Ada"}, "segments"),
        ({"first_name": "Ada", "add_to_segments": ["Events"], "city": "Oslo"}, "city"),
    ],
)
def test_a_wrong_value_is_found_and_named(mktg_sandbox: Sandbox, told: dict[str, Any], wrong: str) -> None:
    tell_convertloop(mktg_sandbox, email=ADA.email, user_id="1", **told)
    found = at_convertloop(mktg_sandbox, ADA)
    assert not found.complete
    assert found.wrong == (wrong,)
    assert wrong in in_words(found)


def test_who_is_there_twice_is_not_right(mktg_sandbox: Sandbox) -> None:
    people = [{"email": BEN.email, "user_id": str(number), "attributes": {"first_name": "Ben"}} for number in (1, 2)]
    rows = {"kit": [], "conversion": [], "convertloop": [{**row, "segments": []} for row in people]}
    answers = {"people": rows, "stats": mktg_sandbox.stats()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "get", lambda url, timeout: _Answer(answers[url.rpartition("/")[2]]))
        found = at_convertloop(mktg_sandbox, BEN)
    assert not found.complete
    assert found.wrong == ("there more than once",)


class _Answer:
    def __init__(self, payload: Any) -> None:
        self.json = lambda: payload


def test_who_is_missing_is_missed(mktg_sandbox: Sandbox) -> None:
    assert [one.complete for one in look(mktg_sandbox.url, [ADA])] == [False] * 3


def test_somebody_without_the_newsletter_must_not_be_active_at_kit(mktg_sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {KIT_ACCESS_TOKEN}"}
    body = {"email_address": BEN.email, "first_name": "Ben", "state": "active"}
    assert requests.post(f"{mktg_sandbox.kit_url}/v4/subscribers", json=body, headers=headers, timeout=5).ok
    kit = look(mktg_sandbox.url, [BEN])[0]
    assert (kit.service, kit.complete, kit.wrong) == ("kit", False, ("state",))


def test_the_least_possible_calls(mktg_sandbox: Sandbox) -> None:
    plain = [Visitor(email=f"p{n}@example.com", first_name="P") for n in range(150)]
    with_fields = [Visitor(email=f"f{n}@example.com", first_name="F", city="Oslo") for n in range(3)]
    tagged = [Visitor(email=f"t{n}@example.com", first_name="T", topics=frozenset({"Events"})) for n in range(101)]
    people = [*plain, *with_fields, *tagged, BEN]
    least = {one.service: one.least for one in look(mktg_sandbox.url, people)}
    # Kit: 251 plain by the hundred, 4 alone, 101 taggings by the hundred.
    assert least == {"kit": 3 + 4 + 2, "conversion": 1, "convertloop": 255}


# What is shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_only_the_last_state_is_told() -> None:
    out = io.StringIO()
    screen = Screen(out)
    for number in range(3):
        screen.update(f"{number} done")
    screen.say("end")
    assert out.getvalue() == "2 done\nend\n"


def test_on_a_terminal_a_line_takes_the_place_of_the_one_before() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.update("1", "2")
    screen.update("3", "4")
    screen.say("end")
    assert out.getvalue() == "1\n2\n\x1b[2F\x1b[J3\n4\nend\n"


def test_the_tables_columns_stand_under_each_other(mktg_sandbox: Sandbox) -> None:
    lines = table(look(mktg_sandbox.url, [ADA, BEN]))
    assert len({line.index(" calls") + len(" calls") for line in lines[:1]}) == 1
    ends = [line.index("least") if number == 0 else line.index(" (+") for number, line in enumerate(lines)]
    assert all(end >= ends[0] for end in ends)
    assert [line.split()[0] for line in lines[1:]] == ["Kit", "Conversion", "ConvertLoop"]


# Its processes


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_children_end_with_the_block_even_those_that_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example_project.demo.processes.STOP_SECONDS", 0.5)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with Children(tmp_path, os.environ) as children:
        children.start("stubborn", "-c", stubborn)
        while "up" not in children.log("stubborn").read_text():
            time.sleep(0.02)
        pid = children._running["stubborn"].pid
        assert is_running(pid)
    assert not is_running(pid)


def test_a_child_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path, os.environ) as children:
        children.start("hasty", "-c", "raise SystemExit('no such port')")
        children._running["hasty"].wait()
        with pytest.raises(ChildError, match=r"hasty ended with 1:\nno such port"):
            children.check()


def test_a_step_that_fails_stops_the_demo(tmp_path: Path) -> None:
    with Children(tmp_path, os.environ) as children, pytest.raises(ChildError, match="prepare ended with 3"):
        children.run("prepare", "-c", "raise SystemExit(3)")


def test_a_free_port_is_free() -> None:
    with Sandbox(free_port()) as sandbox:
        assert requests.get(f"{sandbox.url}/_sandbox/health", timeout=5).ok


# The whole, in processes of its own


@contextmanager
def demo(*arguments: str, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """A demo as a shell starts it in the background, with SIGINT ignored; killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, MANAGE, "demo", *arguments],
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def marked_processes(mark: str) -> list[int]:
    """Processes that have ``mark`` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            is_marked = mark.encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if is_marked and is_running(int(folder.name)):
            found.append(int(folder.name))
    return found


def wait_until_none(mark: str, seconds: float = 20) -> list[int]:
    ends_at = time.monotonic() + seconds
    while (left := marked_processes(mark)) and time.monotonic() < ends_at:
        time.sleep(0.1)
    return left


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_whatever_ends_the_demo_ends_its_children(number: signal.Signals) -> None:
    mark = secrets.token_hex(8)
    with demo("--users", "2", DEMO_TEST_MARK=mark) as running:
        assert running.stdout is not None
        while not (line := running.stdout.readline()).startswith("Sandbox"):
            assert line, running.stderr and running.stderr.read()
        # The demo itself, sandbox, site, and the cluster with its workers.
        assert len(marked_processes(mark)) > 4
        running.send_signal(number)
        running.communicate(timeout=30)
    assert wait_until_none(mark) == []


@needs_proc
@pytest.mark.slow
def test_it_ends_non_zero_when_somebody_has_not_arrived() -> None:
    mark = secrets.token_hex(8)
    with demo("--once", "--users", "3", "--patience", "0", DEMO_TEST_MARK=mark) as running:
        out, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "not everyone arrived" in err
    assert "people are missing" in out
    assert wait_until_none(mark) == []
