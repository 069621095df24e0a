"""Every refusal and failure as one problem document (RFC 9457) with a stable `code`.

    Problem
      code      stable word, the UI's key to a sentence
      params    numbers of that sentence
      errors    fields at fault: `readings[3].values.systolic`
      error_id  also on the log line; what a caller tells support

Codes not raised by name: malformed_body, unknown_field (both 400), not_found, method_not_allowed,
body_too_slow, body_too_large, unsupported_media_type, stores_away (503), internal (500).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.routes import HTTPRoute

from api.logs import error_fields, log
from people.refused import FieldError, Refused
from storage.clamd import ScannerAway
from storage.data_keys import KeyGone
from storage.db_errors import is_away
from storage.ingest import Busy, StoreAway
from storage.objects import ObjectsAway

T = TypeVar("T")
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem document."""

    status: int
    title: str
    code: str
    error_id: str
    detail: str = ""
    type: str = "about:blank"
    params: dict[str, Any] = {}
    errors: list[FieldError] = []


class BadBody(Refused):
    """The body is no JSON, misses a field, or one has the wrong type."""

    status = 400
    code = "malformed_body"


class UnknownField(Refused):
    """The body has a field we do not know: somebody meant something by it."""

    status = 400
    code = "unknown_field"


_CODES = {
    400: "malformed_body",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    415: "unsupported_media_type",
    503: "stores_away",
}
_AWAY = (StoreAway, ObjectsAway, ScannerAway)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PARAMETER = re.compile(r"\{[^}]+\}")
_AT = re.compile(r" - at `(?:key in )?\$?(.*?)`$")
_NAMED = re.compile(r"^Object (contains unknown|missing required) field `(.*?)`")


def field_problem(text: str) -> FieldError | None:
    """The field that msgspec's message names, or None when the text is no JSON at all."""
    at = _AT.search(text)
    place = at.group(1).removeprefix(".") if at else ""
    named = _NAMED.match(text)
    if named:
        code = "unknown_field" if named.group(1) == "contains unknown" else "missing"
        return FieldError(f"{place}.{named.group(2)}".strip(".")[:120], code)
    if text.startswith(("JSON is malformed", "Input data was truncated", "Invalid")) and not at:
        return None
    return FieldError(place[:120], "malformed")


def read_json(data: bytes | str, into: type[T] | Any) -> T:
    """The Struct in a JSON text from outside. Raises BadBody or UnknownField naming the field.

    U+0000 is refused wherever it is: PostgreSQL has no text that holds it, and nobody types it.
    """
    raw = data.encode() if isinstance(data, str) else data
    if b"u0000" in raw and _NUL.search(raw):
        raise BadBody
    try:
        found: T = msgspec.json.decode(raw, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_body(str(error)) from error
    return found


def bad_body(text: str) -> Refused:
    """The refusal for a body that msgspec could not read, from its message."""
    field = field_problem(text)
    if field is None:
        return BadBody()
    return (UnknownField if field.code == "unknown_field" else BadBody)((field,))


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The document and the headers for any exception; what is unforeseen is `internal`."""
    headers: dict[str, str] = {}
    params: Mapping[str, Any] = {}
    errors: list[FieldError] = []
    if isinstance(error, Refused):
        status, code, params = error.status, error.code, error.params
        errors = list(error.errors)
        if "retry_after_s" in params:
            headers["Retry-After"] = str(params["retry_after_s"])
    elif isinstance(error, KeyGone):
        status, code = 410, "person_erased"
    elif isinstance(error, Busy):
        status, code = 503, "busy"
        headers["Retry-After"] = "1"
    elif isinstance(error, _AWAY) or is_away(error):
        status, code = 503, "stores_away"
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(error, HTTPException) and error.status_code in _CODES:
        status, code = error.status_code, _CODES[error.status_code]
        headers = {k: v for k, v in (error.headers or {}).items() if k == "Connection"}
        errors = _query_errors(error)
    else:
        status, code = 500, "internal"
    problem = Problem(
        status=status,
        title=HTTPStatus(status).phrase,
        code=code,
        error_id=uuid4().hex[:12],
        params=dict(params),
        errors=errors,
    )
    return problem, headers


def _query_errors(error: HTTPException) -> list[FieldError]:
    if not isinstance(error, ValidationException) or not isinstance(error.extra, list):
        return []
    return [FieldError(str(item.get("key", "")), "malformed") for item in error.extra]


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Litestar's exception handler for everything; a failure of ours leaves places in the log."""
    problem, headers = problem_of(error)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    fields = {"code": problem.code, "error_id": problem.error_id, "status": problem.status}
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("failed", **fields, **error_fields(_root(error)))
    else:
        log.info("refused", **fields)
    return Response(problem, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def _methods(request: Request[Any, Any, Any]) -> list[str]:
    """Methods of the path, as RFC 9110 wants them said with a 405."""
    routes = (route for route in request.app.routes if isinstance(route, HTTPRoute))
    found = [
        route.methods
        for route in routes
        if re.fullmatch(_PARAMETER.sub("[^/]+", route.path_format), request.scope["path"])
    ]
    return sorted(set[str]().union(*found)) or ["GET", "HEAD", "OPTIONS"]


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


_SAYS = {
    400: "The body cannot be read, or has a field we do not know.",
    401: "Nobody is signed in, or the device token is not known.",
    403: "Seen, but not allowed; or sent from a foreign origin.",
    404: "There is no such thing for you.",
    409: "It was changed or used in the meantime.",
    410: "It was there; its bytes, or the key to them, are gone.",
    411: "The body does not say how long it is.",
    413: "The body is too large.",
    415: "The body is no JSON, or not of the type that is taken.",
    416: "The range begins behind the end.",
    422: "Understood, but not believed.",
    429: "Too many attempts; Retry-After says when.",
    503: "Our stores are away or busy; Retry-After says when.",
    507: "Our disk is full.",
}


def refuses(*statuses: int) -> dict[int, ResponseSpec]:
    """OpenAPI responses for the refusals a handler can make; 500 and 503 any can."""
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            description=_SAYS.get(status, "Our failure; error_id is in the log."),
            media_type=MEDIA_TYPE,
        )
        for status in sorted({*statuses, 500, 503})
    }
