"""One plain request to each service, and to the control endpoints, over HTTP."""

from __future__ import annotations

from typing import Any

import requests

from mktg_integration.sandbox import Sandbox
from mktg_integration.sandbox.credentials import (
    CONVERSION_API_KEY,
    CONVERTLOOP_API_KEY,
    CONVERTLOOP_APP_ID,
    KIT_API_KEY,
)


class Clients:
    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.sandbox = sandbox
        self.session = session

    def kit(self, email: str = "jane@example.com", **more: Any) -> requests.Response:
        headers = {"X-Kit-Api-Key": KIT_API_KEY}
        url = f"{self.sandbox.kit_url}/v4/subscribers"
        return self.session.post(url, json={"email_address": email}, headers=headers, timeout=10, **more)

    def conversion(self, email: str = "jane@example.com", **body: Any) -> requests.Response:
        url = f"{self.sandbox.conversion_url}/v2/contacts"
        headers = {"X-API-Key": CONVERSION_API_KEY}
        return self.session.post(url, json={"email": email, **body}, headers=headers, timeout=10)

    def conversion_v1(self, email: str = "jane@example.com", timeout: float = 10) -> requests.Response:
        url = f"{self.sandbox.conversion_url}/v1/contacts/batch"
        headers = {"Authorization": f"Bearer {CONVERSION_API_KEY}"}
        return self.session.post(url, json={"contacts": [{"email": email}]}, headers=headers, timeout=timeout)

    def convertloop(self, email: str = "jane@example.com", timeout: float = 10) -> requests.Response:
        url = f"{self.sandbox.convertloop_url}/people"
        pair = (CONVERTLOOP_APP_ID, CONVERTLOOP_API_KEY)
        return self.session.post(url, json={"email": email}, auth=pair, timeout=timeout)

    def control(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, f"{self.sandbox.url}/_sandbox/{path}", timeout=10, **more)
