"""What stands before every handler: headers, Origin, the deadline of a slow body, the request log.

Plain ASGI wrappers, so that they hold for pages, data, sockets and errors alike.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from api.logs import error_fields, log

BODY_DEADLINE_S = 15.0
MAX_BODY_BYTES = 1_000_000
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), "
    "display-capture=(self)",
}
# Two years, the usual floor for preload lists; only said where TLS is in front.
HSTS = "max-age=63072000; includeSubDomains"


class BodyTooSlow(HTTPException):
    """The body did not arrive in time."""

    status_code = 408


class SecurityHeaders:
    """Add the headers to every answer; `no-store` unless the answer says how it may be kept."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self.app = app
        extra = {"Strict-Transport-Security": HSTS} if tls else {}
        self.headers = [
            (name.lower().encode(), value.encode()) for name, value in (HEADERS | extra).items()
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers += [pair for pair in self.headers if pair[0] not in present]
                if b"cache-control" not in present:
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class BodyDeadline:
    """A body that trickles in longer than the deadline ends with 408.

    uvicorn waits for ever: fifty half-sent bodies would hold fifty requests.
    """

    def __init__(
        self, app: ASGIApp, *, seconds: Callable[[Any], float] = lambda _: BODY_DEADLINE_S
    ) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self.seconds(scope)
        whole = False

        async def receive_in_time() -> Any:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as late:
                raise BodyTooSlow(headers={"Connection": "close"}) from late
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)


class RequestLog:
    """One line a request: method, route template, status, time. Never the path a client typed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def watch(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - the outermost frame: nothing may leak past it
            log.error("request broke off", **error_fields(error))
        finally:
            log.info(
                "request",
                method=scope["method"],
                route=str(scope.get("path_template", "-")),
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )


def origin_allowed(scope: Any, allowed: Iterable[str]) -> bool:
    """Whether a browser's page of ours sent this; programs without a browser send no Origin.

    A page of another site can make a browser send our cookie; it cannot hide where it comes from.
    """
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin")
    if origin is not None:
        return origin in allowed
    return headers.get(b"sec-fetch-site", "none") in {"none", "same-origin"}
