"""A service that answers what a test gives it, over HTTP on loopback."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request, as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """JSON or a form, by its content type; None where there is no body."""
        if not self.text:
            return None
        if self.headers["content-type"].startswith("application/x-www-form-urlencoded"):
            return {name: values[0] for name, values in parse_qs(self.text).items()}
        return json.loads(self.text)


class Serving:
    """Answers every request with ``status`` and ``answer`` (None: without a body); ``asked`` has what came."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = None
        self.asked: list[Asked] = []
        serving = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                text = self.rfile.read(int(headers.get("content-length", 0))).decode()
                query = parse_qs(parts.query, keep_blank_values=True)
                serving.asked.append(Asked(self.command, parts.path, query, headers, text))
                body = b"" if serving.answer is None or serving.status == 204 else json.dumps(serving.answer).encode()
                self.send_response(serving.status)
                if body:
                    self.send_header("Content-Type", "application/json")
                if serving.status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (names of the base class)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def will_answer(self, status: int, answer: Any) -> None:
        """From now on; what was asked before is forgotten."""
        self.status, self.answer = status, answer
        self.asked.clear()

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
