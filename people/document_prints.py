"""Printing: a signed body as PDF/A-3b with its QR code, the signed JSON inside, signed as PAdES.

The job runs after the signing has committed, once for each reader; the print is kept as an object
sealed under the person's key, and only its digest is written beside the register's row. What a
document says goes into the page as data: nothing typed by anybody is read as markup.
"""

import asyncio
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import segno
import typst
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.document_contents import Audience, printable
from people.document_signing import PRINT
from people.documents import Documents, DocumentTexts, DocumentViews, about
from people.organisation_keys import seed_of
from people.organisations import Organisations
from people.refused import Refused
from people.sentences import sentence
from storage import data_keys, signing
from storage.data_keys import DataKey, KeyGone
from storage.jobs import Work, job
from storage.objects import Objects
from storage.pdf_signing import OwnSigner, PdfSigner, covered
from storage.sealed_objects import put_sealed, read_whole

_PAGE: Final = Path(__file__).with_name("document.typ")
_ORDER: Final = (
    *("to", "absent_from", "absent_until", "sports_until"),
    *("diagnosis", "icd10", "text", "reason", "advice"),
    *("purpose", "version", "given_by", "given_at"),
)


class DocumentPrinting(Refused):
    """It is signed, and its print is being made: ask again in a moment."""

    status = 409
    code = "document_printing"


@job(PRINT)
async def print_document(work: Work, view_id: UUID) -> None:
    """Print one signed body; printed twice is printed once: a second run waits for the first."""
    view = await work.db.get(DocumentViews, view_id, with_for_update=True)
    if view is None or view.pdf_sha256 is not None:
        return
    row = await work.db.get_one(Documents, view.document_id)
    place = await work.db.get_one(Organisations, row.organisation_id)
    try:
        key = await data_keys.key_of(work.db, row.subject_id, work.now)
    except KeyGone:
        return  # erased between signing and printing: there is nothing left to print
    query = select(DocumentTexts.sealed).where(
        DocumentTexts.document_id == row.id, DocumentTexts.part == view.audience
    )
    sealed = (await work.db.scalars(query, execution_options=audit.WRITE_PATH)).one()
    file = key.open(sealed, about(row.id, view.audience))
    seed = await seed_of(work.db, work.settings.home, place.id, work.now)
    address = f"{work.settings.urls[0]}/#/verify/{view.line}"
    signer = OwnSigner(seed, place.name)
    pdf = await asyncio.to_thread(printed, file, address, signer, work.now)
    await put_sealed(work.objects, object_key(view.id), pdf, key, object_about(view.id))
    await work.db.execute(
        update(DocumentViews)
        .where(DocumentViews.id == view.id)
        .values(pdf_sha256=covered(pdf))
        .execution_options(synchronize_session=False)
    )


def printed(file: bytes, address: str, signer: PdfSigner, now: datetime) -> bytes:
    """Print a signed file. The same file, address and time give the same page."""
    signed = msgspec.json.decode(file, type=signing.Signed)
    qr = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        qr, kind="svg", xmldecl=False, border=4, omitsize=True
    )
    page = typst.compile(
        _PAGE.read_bytes(),
        format="pdf",
        pdf_standards="a-3b",
        ignore_system_fonts=True,
        sys_inputs={
            "said": msgspec.json.encode(_said(signed)).decode(),
            "qr": qr.getvalue().decode(),
            "file": file.decode(),
        },
    )
    return signer.sign(page, now)


async def read_print(
    db: AsyncSession, objects: Objects, key: DataKey, document_id: UUID, audience: Audience
) -> bytes:
    """Give a print. Raises DocumentPrinting, ObjectsAway, DamagedObject."""
    query = select(DocumentViews.id, DocumentViews.pdf_sha256).where(
        DocumentViews.document_id == document_id, DocumentViews.audience == audience.value
    )
    found = (await db.execute(query)).one_or_none()
    if found is None or found.pdf_sha256 is None:
        raise DocumentPrinting
    return await read_whole(objects, object_key(found.id), key, object_about(found.id))


def object_key(view_id: UUID) -> str:
    """Where a print lies in the object store."""
    return f"documents/{view_id}.pdf"


def object_about(view_id: UUID) -> bytes:
    """What a sealed print is bound to."""
    return f"document_views.pdf:{view_id}".encode()


def _said(signed: signing.Signed) -> dict[str, Any]:
    """Give the page's words, in the language of the document."""
    body = signed.body
    language = body["language"]

    def say(name: str, **params: str) -> str:
        return printable(sentence(language, f"documents.print_{name}", params))

    day = date.fromisoformat(body["date"])
    person = body["person"]
    fields = [(say("person"), person["name"])]
    if "born_on" in person:
        fields.append((say("born_on"), _day(person["born_on"])))
    content = body["content"]
    said = (name for name in _ORDER if name in content)
    fields += [(say(name), _words(say, name, content[name])) for name in said]
    if body["supersedes"]:
        fields.append((say("version_of"), str(body["version"])))
    return {
        "title": say(f"title_{body['kind']}"),
        "organisation": printable(body["organisation"]["name"]),
        "numbered": say("numbered", number=body["number"], date=_day(body["date"])),
        "language": language,
        "fields": [(label, printable(words)) for label, words in fields],
        "signed": say("signed", signer=body["signer"]["name"]),
        "verify": say("verify"),
        "key": say("key", key=signed.key),
        "footer": f"{body['number']} · {body['id']}",
        "year": day.year,
        "month": day.month,
        "day": day.day,
    }


def _words(say: Any, name: str, value: Any) -> str:
    if name in {"absent_from", "absent_until", "sports_until"}:
        return _day(value)
    if name == "given_at":
        return _day(value[:10])
    if name == "purpose":
        return str(say(f"purpose_{value}"))
    return str(value)


def _day(iso: str) -> str:
    """A date as all three languages write it in figures."""
    return date.fromisoformat(iso).strftime("%d.%m.%Y")
