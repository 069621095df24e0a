"""Is this paper genuine? For anybody, without signing in."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from api.sign_in import network_of
from people import document_checks, organisation_keys
from people.document_checks import Checked
from people.organisation_keys import PublicKey
from people.policy import Act


class ScannedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a QR code holds."""

    line: Annotated[str, msgspec.Meta(max_length=2000)]


class ShownFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed JSON or a print, base64."""

    file: Annotated[bytes, msgspec.Meta(max_length=700_000)]


@post(
    "/verify/line",
    operation_id="verifyLine",
    status_code=200,
    act=Act.LOOK_AT_SERVICE,
    responses=refuses(400, 413, 415, 429),
)
async def verify_line(
    data: JSONBody[ScannedLine],
    request: Request[Any, Any, Any],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Checked:
    """Whether the document whose QR code says this is genuine, and holds."""
    return await document_checks.check_line(db, data.line, network_of(request), now)


@post(
    "/verify/file",
    operation_id="verifyFile",
    status_code=200,
    act=Act.LOOK_AT_SERVICE,
    responses=refuses(400, 413, 415, 429),
)
async def verify_file(
    data: JSONBody[ShownFile],
    request: Request[Any, Any, Any],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Checked:
    """Whether this file is a genuine document, and holds."""
    return await document_checks.check_file(db, data.file, network_of(request), now)


@get(
    "/verify/keys",
    operation_id="verifyKeys",
    act=Act.LOOK_AT_SERVICE,
    responses=refuses(),
)
async def verify_keys(db: NamedDependency[AsyncSession]) -> list[PublicKey]:
    """The public keys of our organisations, to verify documents with where we are not asked."""
    return await organisation_keys.public_keys(db)


ROUTES = [verify_line, verify_file, verify_keys]
