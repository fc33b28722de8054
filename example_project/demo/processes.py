"""The demo's child processes, and that none of them outlives it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = ROOT / "example_project" / "manage.py"
STOP_SECONDS = 5
_PR_SET_PDEATHSIG = 1


class ChildError(Exception):
    """A child process ended that should still run; the text has the last lines it wrote."""


class Children:
    """Starts processes that write to log files, and stops them all at the end of the ``with`` block."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        path = [str(ROOT), *filter(None, [environ.get("PYTHONPATH")])]
        self.environ = {**environ, "PYTHONPATH": os.pathsep.join(path)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The last one started may depend on the earlier ones, so they go in reverse.
        for child in reversed(self._running.values()):
            child.terminate()
        for child in reversed(self._running.values()):
            try:
                child.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def run(self, name: str, *arguments: str) -> None:
        """Run to the end. Raises ``ChildError`` where it fails."""
        with self.log(name).open("ab") as out:
            code = subprocess.call([sys.executable, *arguments], stdout=out, stderr=out, env=self.environ)
        if code:
            raise ChildError(f"{name} ended with {code}:\n{self._last_lines(name)}")

    def start(self, name: str, *arguments: str) -> None:
        """Start in the background, in a process group of its own, so that Ctrl-C reaches the demo alone."""
        with self.log(name).open("ab") as out:
            self._running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=out,
                stderr=out,
                env=self.environ,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )

    def check(self) -> None:
        """Raise ``ChildError`` if one of them has ended."""
        for name, child in self._running.items():
            if child.poll() is not None:
                raise ChildError(f"{name} ended with {child.returncode}:\n{self._last_lines(name)}")

    def _last_lines(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-15:])


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> Callable[[], Any] | None:
    """On Linux, what lets a child end when the demo itself is killed and cannot stop it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
