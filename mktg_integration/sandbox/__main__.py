"""``python -m mktg_integration.sandbox``: the sandbox without any Django settings."""

import sys

from .cli import main

sys.exit(main())
