"""System checks: what is wrong with the settings, and which key to set. None calls a service or the database.

The ids do not change: ``mktg_integration.E0xx`` are errors, ``W0xx`` warnings (``SILENCED_SYSTEM_CHECKS``).
"""

from __future__ import annotations

from django.core.checks import register

from mktg_integration.checks.api import check_api
from mktg_integration.checks.background import check_background
from mktg_integration.checks.connections import check_connections
from mktg_integration.checks.database import check_database
from mktg_integration.checks.keys import check_keys
from mktg_integration.checks.oauth import check_oauth
from mktg_integration.checks.site import check_site

TAG = "mktg_integration"

for check in (check_site, check_keys, check_connections, check_background, check_database, check_oauth, check_api):
    register(check, TAG)
