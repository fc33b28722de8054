"""A service that answers what no documented service would: the sandbox's answers, bent on their way."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import requests

Bend = Callable[[str, dict[str, list[str]], Any], Any]
"""``(path, query, answer) -> answer``: the parsed JSON of a 200 answer to a GET."""


class Bending:
    """Stands before a sandbox's address. ``bend`` may be changed at any time."""

    def __init__(self, target: str) -> None:
        self.bend: Bend = lambda path, query, answer: answer
        bending = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = requests.get(target + self.path, headers=headers, timeout=30)
                body = answer.content
                if answer.status_code == 200:
                    parts = urlsplit(self.path)
                    bent = bending.bend(parts.path, parse_qs(parts.query), answer.json())
                    body = json.dumps(bent).encode()
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
