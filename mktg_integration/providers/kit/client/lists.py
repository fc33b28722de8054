"""Kit v4, "Email Templates" and "Segments": lists only."""

from __future__ import annotations

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing


class Lists(KitBase):
    def list_email_templates(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.EmailTemplate]:
        """ "List email templates"."""
        return self._list(
            "/v4/email_templates",
            schemas.EmailTemplatePage,
            lambda page: page.email_templates,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def list_segments(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.Segment]:
        """ "List segments"."""
        return self._list(
            "/v4/segments",
            schemas.SegmentPage,
            lambda page: page.segments,
            per_page=per_page,
            include_total_count=include_total_count,
        )
