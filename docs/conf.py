"""Sphinx builds the documentation from here: ``sphinx-build -W docs docs/_build``."""

from __future__ import annotations

from mktg_integration import __version__

project = "mktg_integration"
author = "mktg_integration contributors"
copyright = "2026, mktg_integration contributors"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mktg_integration {release}"
html_static_path = ["_static"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Every warning is an error in CI, so a link that leads nowhere cannot stay.
nitpicky = True
