"""The stand-in for Conversion, v1 and v2, written from the reference documents alone."""

from .service import ConversionService

__all__ = ["ConversionService"]
