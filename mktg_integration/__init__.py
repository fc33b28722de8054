"""Keeps a Django site's users in step with Kit, Conversion and ConvertLoop."""

__version__ = "0.1.0"
