"""The stand-in for ConvertLoop, written from the reference document alone."""

from .service import ConvertLoopService

__all__ = ["ConvertLoopService"]
