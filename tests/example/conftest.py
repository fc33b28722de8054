"""The tests in ``site`` run under the example's own settings, in a process that ``test_site.py`` starts."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == "example_project.settings" else ["site"]
