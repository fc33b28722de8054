"""The test suite's settings in a process of its own: ``MKTG_E2E`` holds the changes to ``MKTG_INTEGRATION`` as JSON.

``MKTG_E2E_KILL`` names a function (``module:name``) whose process is killed, once for each marker file; ``before`` or
``after`` it ran.
"""

from __future__ import annotations

import json
import os

from tests.settings import *
from tests.settings import DATABASES, INSTALLED_APPS, MKTG_INTEGRATION, Q_CLUSTER

DATABASES["default"]["NAME"] = (
    DATABASES["default"]["TEST"]["NAME"] if "TEST" in DATABASES["default"] else DATABASES["default"]["NAME"]
)
MKTG_INTEGRATION = {**MKTG_INTEGRATION, **json.loads(os.environ.get("MKTG_E2E", "{}"))}
# As short as the longest drain lets it be, so that a killed task soon runs again.
_timeout = int(MKTG_INTEGRATION.get("DRAIN_SECONDS", 45.0) + MKTG_INTEGRATION.get("CALL_SECONDS", 30.0)) + 3
Q_CLUSTER = {
    **Q_CLUSTER,
    "timeout": _timeout,
    "retry": _timeout + 5,
    **json.loads(os.environ.get("MKTG_E2E_Q", "{}")),
}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.e2e.killer"]
