"""What the API's views have in common: pages by cursor, filters, who may call, problem bodies, masking of people.

A view set of this package is a ``ReadViews`` or ``Views`` with ``needs``::

    class RunViewSet(ReadViews[Run]):
        queryset = Run.objects.all()
        needs = {"list": VIEW_RUNS, "retrieve": VIEW_RUNS, "cancel": SYNC}

Each action asks for the permissions that ``needs`` has for it; an action without an entry is refused.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, mixins, serializers, views, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from mktg_integration.api.access import STAFF, Guarded, MayDo, Needs
from mktg_integration.api.openapi import Schema
from mktg_integration.api.problems import ProblemSerializer, problem
from mktg_integration.audit import Actor
from mktg_integration.insight.masking import masked, sees_people
from mktg_integration.models import Run

__all__ = [
    "STAFF",
    "ApiView",
    "FilterBackend",
    "MayDo",
    "Needs",
    "Ordering",
    "Pages",
    "PersonalSerializer",
    "ProblemSerializer",
    "ReadViews",
    "RunBegunSerializer",
    "Views",
    "accepted",
    "actor_of",
    "masked",
    "problem",
]

M = TypeVar("M", bound=models.Model)


class Pages(CursorPagination):
    """Pages by cursor: no count, no offset, as fast at the end of a table as at its beginning.

    ``ordering`` of a view must be by an index and change no more.
    """

    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "pk"

    def decode_cursor(self, request: Request) -> Any:
        cursor: Any = super().decode_cursor(request)
        if cursor is not None and "\x00" in (cursor.position or ""):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError):
            # A cursor that somebody made up: DRF hands its place to the database as it is.
            if request.query_params.get(self.cursor_query_param):
                raise NotFound(self.invalid_cursor_message) from None
            raise


class FilterBackend(DjangoFilterBackend):  # type: ignore[misc]
    """django-filter's; its form in the browsable API only where the site has installed django-filter's templates."""

    def to_html(self, request: Request, queryset: Any, view: Any) -> Any:
        return super().to_html(request, queryset, view) if apps.is_installed("django_filters") else ""


class Ordering(filters.OrderingFilter):
    """DRF's; only by the fields that the view names, each of which has an index. None: the view's own alone."""

    def get_valid_fields(self, queryset: Any, view: Any, context: Any = None) -> Any:
        return [(name, name) for name in getattr(view, "ordering_fields", None) or ()]

    def get_schema_operation_parameters(self, view: Any) -> Any:
        return super().get_schema_operation_parameters(view) if getattr(view, "ordering_fields", None) else []

    def to_html(self, request: Request, queryset: Any, view: Any) -> Any:
        return super().to_html(request, queryset, view) if getattr(view, "ordering_fields", None) else ""


class ApiView(Guarded, views.APIView):
    """A plain view; ``needs`` by method: ``{"get": …, "post": …}``."""

    schema = Schema()


class Views(Guarded, viewsets.GenericViewSet[M]):
    """A view set; add DRF's mixins. ``needs`` by action."""

    schema = Schema()
    pagination_class = Pages
    filter_backends = (FilterBackend, Ordering)


class ReadViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, Views[M]):
    """A list and a detail, nothing else."""


class RunBegunSerializer(serializers.Serializer[Any]):
    """What an answer 202 says: the run that was begun."""

    run = serializers.IntegerField()
    url = serializers.URLField(help_text="Where the run's progress is told.")


def actor_of(request: Request) -> Actor:
    """Who acts, for ``operations``."""
    return Actor(request.user, "api")


def accepted(run: Run, request: Request) -> Response:
    """202 for work that goes on: ``{"run", "url"}``, the run's address in ``Location`` too."""
    url = reverse("mktg_integration:api-run-detail", args=[run.pk], request=request)
    return Response({"run": run.pk, "url": url}, status=202, headers={"Location": url})


# Personal data


class PersonalSerializer(serializers.ModelSerializer[M]):
    """Masks the fields of ``personal`` for those who may not see personal data."""

    personal: tuple[str, ...] = ()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        request = self.context.get("request")
        if request is None or not sees_people(request.user):
            for name in self.personal:
                if name in shown:
                    shown[name] = masked(shown[name])
        return shown
