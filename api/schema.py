"""The API's description: OpenAPI 3.1, with the sockets' messages among the components.

    python -m api.schema

prints it; the same code gives the same bytes, so that a drift of the UI's types shows in a diff.
"""

import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, get_args

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from api import socket_messages
from api.acts import acts_of, takes_anyone
from api.problems import Problem
from people.policy import Act

_SECURITY = {
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-yanasha"},
    "device": {"type": "http", "scheme": "bearer"},
}
_BYTES = {"type": "string", "format": "binary"}
SOCKET_TYPES = (
    "VisitPageMessage",
    "VisitServerMessage",
    "LessonPageMessage",
    "LessonServerMessage",
    "DeviceHello",
    "DeviceServerMessage",
)


def document() -> dict[str, Any]:
    """The OpenAPI document as plain objects, keys in a fixed order."""
    from api.app import PREFIX, data_routes  # noqa: PLC0415 - the app serves this document
    from api.db import DEPENDENCIES  # noqa: PLC0415
    from api.health import ROUTES as SERVICE  # noqa: PLC0415

    app = Litestar(
        [Router(PREFIX, route_handlers=data_routes()), *SERVICE],
        dependencies=DEPENDENCIES,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Yanasha",
            version="1",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
    )
    found = app.openapi_schema.to_schema()
    opts = {h.operation_id: h.opt for h in _handlers(app) if h.operation_id}
    for operation in (o for path in found["paths"].values() for o in path.values()):
        _tidy(operation, opts[operation["operationId"]])
    found["components"] = {"schemas": _schemas(app), "securitySchemes": _SECURITY}
    ordered: dict[str, Any] = _ordered(found)
    return ordered


def _handlers(app: Litestar) -> list[HTTPRouteHandler]:
    routes = (route for route in app.routes if isinstance(route, HTTPRoute))
    return [handler for route in routes for handler in route.route_handlers]


def _tidy(operation: dict[str, Any], opt: Mapping[str, Any]) -> None:
    """Say who may ask, which bodies are bytes, and nothing about bodies that are not there."""
    del operation["summary"], operation["deprecated"]
    acts = acts_of(opt)
    if not takes_anyone(acts):
        device = Act.SEND_READINGS in acts
        operation["security"] = [{"device": []} if device else {"session": []}]
    if "takes" in opt:  # read from the stream, so Litestar knows of none
        body = {opt["takes"]: {"schema": _BYTES}}
        operation["requestBody"] = {"required": True, "content": body}
    for status in ("204", "416"):
        operation["responses"].get(status, {}).pop("content", None)
    for answer in operation["responses"].values():
        for media_type, content in answer.get("content", {}).items():
            if not media_type.endswith("json"):
                content["schema"] = _BYTES


def _schemas(app: Litestar) -> dict[str, Any]:
    """Every Struct that a route or a socket takes or gives, as msgspec reads and writes it.

    Litestar's own components leave out that unknown fields are refused.
    """
    types: list[Any] = [Problem]
    for handler in _handlers(app):
        if handler.resolve_include_in_schema():
            types += [handler.parsed_return_field.annotation, *_bodies(handler), *_words(handler)]
    structs = [one for annotation in types for one in _structs(annotation)]
    sockets = [getattr(socket_messages, name) for name in SOCKET_TYPES]
    tops, parts = msgspec.json.schema_components(
        [*dict.fromkeys(structs), *sockets], ref_template="#/components/schemas/{name}"
    )
    unions = zip(SOCKET_TYPES, tops[-len(sockets) :], strict=True)
    return parts | {name: top for name, top in unions if "$ref" not in top}


def _bodies(handler: HTTPRouteHandler) -> list[Any]:
    field = handler.parsed_data_field
    return [field.annotation] if field else []


def _words(handler: HTTPRouteHandler) -> list[Any]:
    """The enumerations that paths and queries take."""
    return [field.annotation for field in handler.parsed_fn_signature.parameters.values()]


def _structs(annotation: Any) -> list[type[Any]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct | Enum):
        return [annotation]
    return [one for part in get_args(annotation) for one in _structs(part)]


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


@cache
def text() -> bytes:
    """The document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


@get("/api/openapi.json", include_in_schema=False, act=Act.LOOK_AT_SERVICE, sync_to_thread=True)
def description() -> Response[bytes]:
    """This document."""
    return Response(text(), media_type="application/vnd.oai.openapi+json")


ROUTES = [description]

if __name__ == "__main__":
    sys.stdout.buffer.write(text())
