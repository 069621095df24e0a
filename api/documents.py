"""Documents: drafts, signing, revoking, handing over, and the files of what was signed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from people import (
    document_deliveries,
    document_drafts,
    document_files,
    document_lists,
    document_register,
    document_signing,
    documents,
    received_documents,
)
from people.document_contents import Audience
from people.document_deliveries import DeliveryAnswer, DeliveryDesk, NewDelivery
from people.document_drafts import DraftChange
from people.document_files import DocumentFile, Form
from people.document_lists import DocumentPage
from people.document_register import IssuedPage
from people.document_signing import Revocation, SignDocument
from people.documents import Document, DocumentSummary
from people.policy import Act
from people.received_documents import ReceivedPage
from people.sessions import Caller
from telemed import visit_documents
from telemed.visit_documents import NewDocument

_TYPES = {"json": "application/json", "pdf": "application/pdf"}
_SANDBOX = "sandbox; default-src 'none'"


def attached(file: DocumentFile, form: Form) -> Response[bytes]:
    """The file as one to be kept, never shown as a page of ours."""
    return Response(
        file.content,
        media_type=_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Content-Security-Policy": _SANDBOX,
        },
    )


@get(
    "/visits/{visit_id:uuid}/documents",
    operation_id="visitDocuments",
    act=(Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT, Act.SEE_VISIT),
    responses=refuses(401, 404),
)
async def visit_documents_of(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[DocumentSummary]:
    """Documents of a visit, newest first; drafts to its doctor only."""
    return await visit_documents.list_documents(db, caller.actor, visit_id, now)


@post(
    "/visits/{visit_id:uuid}/documents",
    operation_id="draftDocument",
    act=(Act.WRITE_DOCUMENT, Act.SEE_DOCUMENT, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404, 410, 413, 415, 422),
)
async def draft_document(
    visit_id: FromPath[UUID],
    data: JSONBody[NewDocument],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Document:
    """Begin a document of a visit."""
    return await visit_documents.draft(db, caller.actor, visit_id, data, now)


@get(
    "/records/{person_id:uuid}/documents",
    operation_id="listDocuments",
    act=(Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(400, 401, 404),
)
async def list_documents(
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    before: FromQuery[UUID | None] = None,
) -> DocumentPage:
    """One's own signed documents or a child's, newest first, 50 at a time."""
    return await document_lists.of_person(db, caller.actor, person_id, now, before=before)


@get(
    "/documents/{document_id:uuid}",
    operation_id="getDocument",
    act=(Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(401, 404, 410),
)
async def get_document(
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Document:
    """A document with what it says."""
    return await documents.get_document(db, caller.actor, document_id, now)


@put(
    "/documents/{document_id:uuid}",
    operation_id="changeDocument",
    act=(Act.WRITE_DOCUMENT, Act.SEE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def change_document(
    document_id: FromPath[UUID],
    data: JSONBody[DraftChange],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Document:
    """Write a draft anew; 409 when somebody wrote in between, or when it is signed."""
    return await document_drafts.change(db, caller.actor, document_id, data, now)


@delete(
    "/documents/{document_id:uuid}",
    operation_id="discardDocument",
    act=(Act.WRITE_DOCUMENT, Act.SEE_DOCUMENT),
    responses=refuses(401, 403, 404, 409),
)
async def discard_document(
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Throw a draft away."""
    await document_drafts.discard(db, caller.actor, document_id, now)


@post(
    "/documents/{document_id:uuid}/sign",
    operation_id="signDocument",
    status_code=200,
    act=(Act.WRITE_DOCUMENT, Act.SEE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def sign_document(  # noqa: PLR0917 - called by name
    document_id: FromPath[UUID],
    data: JSONBody[SignDocument],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Document:
    """Sign a draft as it was read, number it, and give it to its person."""
    return await document_signing.sign(
        db,
        caller,
        document_id,
        data,
        now,
        home=house.settings.home,
        outside=house.outside,
    )


@post(
    "/documents/{document_id:uuid}/revoke",
    operation_id="revokeDocument",
    status_code=200,
    act=(Act.REVOKE_DOCUMENT, Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def revoke_document(
    document_id: FromPath[UUID],
    data: JSONBody[Revocation],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> DocumentSummary:
    """Say that a signed document holds no longer, and why."""
    return await document_signing.revoke(db, caller, document_id, data, now)


@get(
    "/organisations/{organisation_id:uuid}/register",
    operation_id="issuedDocument",
    act=Act.REVOKE_DOCUMENT,
    responses=refuses(400, 401, 403, 404),
)
async def issued_document(
    organisation_id: FromPath[UUID],
    number: Annotated[str, QueryParameter(max_length=40, pattern="^[0-9]{4}-[0-9]{6,}$")],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[DocumentSummary]:
    """The document that the organisation signed with this number, to revoke it; not its words."""
    return await document_register.issued(db, caller.actor, organisation_id, number, now)


@get(
    "/organisations/{organisation_id:uuid}/documents/issued",
    operation_id="issuedDocuments",
    act=Act.REVOKE_DOCUMENT,
    responses=refuses(400, 401, 403, 404),
)
async def issued_documents(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    before: FromQuery[UUID | None] = None,
) -> IssuedPage:
    """What the organisation signed, newest first, 50 at a time: neither whose nor what it says."""
    return await document_register.register(db, caller.actor, organisation_id, now, before=before)


@post(
    "/documents/{document_id:uuid}/versions",
    operation_id="nextDocumentVersion",
    act=(Act.WRITE_DOCUMENT, Act.SEE_DOCUMENT),
    responses=refuses(401, 403, 404, 409, 410),
)
async def next_document_version(
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Document:
    """Begin the next version as a draft; signing it supersedes this one."""
    return await document_drafts.next_version(db, caller.actor, document_id, now)


@get(
    "/documents/{document_id:uuid}/file",
    operation_id="documentFile",
    act=(Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(400, 401, 404, 409, 410),
)
async def document_file(  # noqa: PLR0917 - called by name
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    form: FromQuery[Form] = "pdf",
    audience: FromQuery[Audience] = Audience.FULL,
) -> Response[bytes]:
    """A signed document as PDF or as signed JSON."""
    wanted = (audience, form)
    file = await document_files.own_file(
        db, house.objects, caller.actor, document_id, wanted, now=now
    )
    return attached(file, form)


@get(
    "/documents/{document_id:uuid}/deliveries",
    operation_id="listDeliveries",
    act=(Act.SEE_DOCUMENT, Act.GIVE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(401, 404, 410),
)
async def list_deliveries(
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> DeliveryDesk:
    """Where a document went, and schools that it can be given to."""
    return await document_deliveries.deliveries(db, caller.actor, document_id, now)


@post(
    "/documents/{document_id:uuid}/deliveries",
    operation_id="giveDocument",
    status_code=200,
    act=(Act.GIVE_DOCUMENT, Act.SEE_DOCUMENT, Act.WRITE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410, 413, 415),
)
async def give_document(
    document_id: FromPath[UUID],
    data: JSONBody[NewDelivery],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> DeliveryDesk:
    """Give a certificate to a school of its person, in the form without a diagnosis."""
    return await document_deliveries.give_to_school(db, caller.actor, document_id, data, now)


@post(
    "/deliveries/{delivery_id:uuid}/answer",
    operation_id="answerDelivery",
    status_code=204,
    act=(Act.GIVE_DOCUMENT, Act.RECEIVE_DOCUMENTS, Act.SEE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def answer_delivery(
    delivery_id: FromPath[UUID],
    data: JSONBody[DeliveryAnswer],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Say that a document arrived, or refuse it with a reason."""
    await document_deliveries.answer(db, caller.actor, delivery_id, data, now)


@get(
    "/organisations/{organisation_id:uuid}/documents",
    operation_id="receivedDocuments",
    act=Act.RECEIVE_DOCUMENTS,
    responses=refuses(400, 401, 403, 404),
)
async def received_by_school(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    before: FromQuery[UUID | None] = None,
) -> ReceivedPage:
    """What an organisation was given, newest first, 50 at a time, for its desk."""
    return await received_documents.received(db, caller.actor, organisation_id, now, before=before)


@get(
    "/deliveries/{delivery_id:uuid}/file",
    operation_id="deliveryFile",
    act=(Act.RECEIVE_DOCUMENTS, Act.SEE_DOCUMENT),
    responses=refuses(400, 401, 403, 404, 409, 410),
)
async def delivery_file(  # noqa: PLR0917 - called by name
    delivery_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    form: FromQuery[Form] = "pdf",
) -> Response[bytes]:
    """What a school was given, as PDF or signed JSON."""
    file = await document_files.school_file(
        db, house.objects, caller.actor, delivery_id, form, now=now
    )
    return attached(file, form)


ROUTES = [
    visit_documents_of,
    draft_document,
    list_documents,
    get_document,
    change_document,
    discard_document,
    sign_document,
    revoke_document,
    issued_document,
    issued_documents,
    next_document_version,
    document_file,
    list_deliveries,
    give_document,
    answer_delivery,
    received_by_school,
    delivery_file,
]
