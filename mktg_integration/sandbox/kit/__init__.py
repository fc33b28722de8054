"""The sandbox's Kit: API v4 and its OAuth, written from the reference alone."""

from .service import KitService

__all__ = ["KitService"]
