"""What drf-spectacular (the extra ``openapi``) is told of the API; without it nothing of this does anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.schemas.inspectors import DefaultSchema
from rest_framework.serializers import ChoiceField, Serializer
from rest_framework.settings import api_settings

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

T = TypeVar("T")

try:
    from drf_spectacular.extensions import OpenApiAuthenticationExtension
    from drf_spectacular.openapi import AutoSchema as _AutoSchema
    from drf_spectacular.plumbing import ResolvedComponent
    from drf_spectacular.utils import OpenApiParameter, extend_schema
except ImportError:
    extend_schema = None  # type: ignore[assignment]

if extend_schema is None:
    Schema: Any = DefaultSchema
else:
    _site: Any = api_settings.DEFAULT_SCHEMA_CLASS
    _Base: type[AutoSchema] = _site if issubclass(_site, _AutoSchema) else _AutoSchema

    class Schema(_Base):  # type: ignore[no-redef,valid-type,misc]
        """The site's own kind, or drf-spectacular's, that also tells of the answers from 400 on."""

        def get_tags(self) -> list[str]:
            return ["marketing"]

        def _get_response_bodies(self, direction: Any = "response") -> Any:
            from mktg_integration.api.problems import ProblemSerializer

            bodies = super()._get_response_bodies(direction)
            if direction == "response":
                for status in self._problems():
                    bodies.setdefault(status, self._get_response_for_code(ProblemSerializer, status))
            return bodies

        def _map_serializer_field(self, field: Any, direction: Any, *arguments: Any, **more: Any) -> Any:
            """Each set of choices has a name of its own: a site need not name them in ``ENUM_NAME_OVERRIDES``."""
            shown = super()._map_serializer_field(field, direction, *arguments, **more)
            if not isinstance(field, ChoiceField) or "enum" not in shown or field.parent is None:
                return shown
            owner = field.parent if isinstance(field.parent, Serializer) else field.parent.parent
            name = self._get_serializer_name(owner, direction) + str(field.source).title().replace("_", "") + "Enum"
            own = {key: shown.pop(key) for key in ("type", "enum") if key in shown}
            shown.pop("x-spec-enum-id", None)
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, schema=own, object=name
            )
            self.registry.register_on_missing(component)
            return {**shown, "allOf": [component.ref]} if shown else component.ref

        def _problems(self) -> list[str]:
            statuses = {"401", "403", "406", "429"}
            has_body = self.method in ("POST", "PUT", "PATCH")
            if has_body:
                statuses |= {"400", "415"}
            if self.method != "GET":
                statuses |= {"409"}
            if "{" in self.path:
                statuses |= {"404"}
            if self.method == "GET" and self._is_list_view():
                # A filter's value, a cursor.
                statuses |= {"400", "404"}
            if getattr(self.view, "action", None) in getattr(self.view, "calling", ()):
                statuses |= {"502"}
            return sorted(statuses)

    class MonitorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
        """How monitors say who they are."""

        target_class = "mktg_integration.api.status.MonitorAuthentication"
        name = "monitorToken"

        def get_security_definition(self, auto_schema: Any) -> Any:
            return {"type": "http", "scheme": "bearer"}


def documented(
    *,
    request: Any = None,
    responses: Mapping[int, Any] | Any = None,
    summary: str = "",
    parameters: Any = None,
) -> Callable[[T], T]:
    """Above ``@action`` or a view's method: what it takes and gives (DRF serializers; None: no body)."""

    def mark(view: T) -> T:
        if extend_schema is None:
            return view
        kwargs = getattr(view, "kwargs", None)
        if kwargs is None:
            kwargs = view.kwargs = {}  # type: ignore[attr-defined]
        kwargs.setdefault("schema", Schema)
        marked: T = extend_schema(request=request, responses=responses, summary=summary or None, parameters=parameters)(
            view
        )  # type: ignore[type-var]
        return marked

    return mark


def query_parameter(name: str, description: str) -> Any:
    """Something that may stand behind the question mark; None without drf-spectacular."""
    if extend_schema is None:
        return None
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=description)
