"""Bytes with ranges (RFC 9110 §14): a player seeks by asking for a part.

One range an answer; several at once, or what cannot be understood, is answered with the whole, as
the RFC allows. Pieces are read while they are sent: a slow client holds one in memory.
"""

import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from litestar import Request, Response
from litestar.response import Stream

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.IGNORECASE)
_MAX_DIGITS = 18
# Judged anew at each request; a browser may keep it if it asks whether it still may.
CACHE_CONTROL = "private, no-cache"

Read = Callable[[int, int], AsyncIterator[bytes]]


class Part(NamedTuple):
    """`length` bytes from `start`."""

    start: int
    length: int


class Unsatisfiable(Exception):  # noqa: N818 - states a fact about the range
    """The range begins behind the end."""


def part_of(header: str, size: int) -> Part | None:
    """The part a Range header asks for; None for the whole. Raises Unsatisfiable."""
    found = _ONE_RANGE.match(header)
    first, last = found.groups() if found else ("", "")
    if not (first or last) or len(first) > _MAX_DIGITS or len(last) > _MAX_DIGITS:
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Part(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Part(start, end - start + 1)


async def answer(
    request: Request[Any, Any, Any], read: Read, *, size: int, etag: str, media_type: str
) -> Response[Any]:
    """200, 206, 304 or 416 with `read(start, length)` behind it; a HEAD reads nothing.

    The first piece is read before the answer starts, so that a store that is away is a 503.
    """
    tag = f'"{etag}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": CACHE_CONTROL}
    if tag in (one.strip() for one in request.headers.get("If-None-Match", "").split(",")):
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    status, part = HTTPStatus.OK, Part(0, size)
    if request.headers.get("If-Range", tag) == tag:
        try:
            asked = part_of(request.headers.get("Range", ""), size)
        except Unsatisfiable:
            headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            return Response(b"", status_code=status, headers=headers, media_type=media_type)
        if asked is not None:
            status, part = HTTPStatus.PARTIAL_CONTENT, asked
            end = part.start + part.length - 1
            headers["Content-Range"] = f"bytes {part.start}-{end}/{size}"
    headers["Content-Length"] = str(part.length)
    if request.method == "HEAD":
        return Response(b"", status_code=status, headers=headers, media_type=media_type)
    pieces = read(part.start, part.length)
    first = await anext(pieces, b"")
    return Stream(_all(first, pieces), status_code=status, headers=headers, media_type=media_type)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
