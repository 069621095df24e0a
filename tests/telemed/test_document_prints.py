"""Prints: PDF/A with every Tatar letter, and forged by one changed byte; schools get their own."""

import asyncio
import io
import os
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pytest
import typst
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ops.children import Cannot
from ops.verify import verify_file
from people import document_checks, document_deliveries
from people.consents import ConsentNotYours
from people.document_checks import CheckState
from people.document_contents import Audience, Conclusion
from people.document_deliveries import (
    DeliveryAnswer,
    DeliveryAnswered,
    NewDelivery,
    NoSchoolView,
    answer,
    deliveries,
    give_to_school,
)
from people.document_files import Form, own_file, school_file
from people.document_outside import address_of
from people.document_pages import page_of
from people.document_prints import DocumentPrinting, object_key
from people.document_signing import Revocation, revoke
from people.documents import DocumentNotSigned, DocumentViews
from people.notices import Notices
from people.organisation_keys import public_keys, raw_keys
from people.persons import Persons
from people.received_documents import received
from people.refused import Forbidden, NotFound, OutOfRange
from storage import pdf_signing, signing
from storage.engine import sessions
from storage.objects import Objects
from storage.pdf_signing import OwnSigner
from storage.settings import Settings
from storage.signing import Why
from tests.telemed.clinic_house import NOW, House, furnish
from tests.telemed.document_desk import ILL, caller, print_all, school_of, signed

ROOT = Path(__file__).parents[2]
SEED = bytes(range(32))
PUBLIC = signing.public_of(SEED)
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CLINIC = "«Ак калфак» балалар сырхауханәсе, Түбән Кама шәһәре"  # 97 bytes, X.520 has 64
TATAR = "ә ө ү җ ң һ Ә Ө Ү Җ Ң Һ"
BODY = {
    "type": "yanasha-document",
    "kind": "conclusion",
    "audience": "full",
    "version": 2,
    "number": "2026-000007",
    "date": "2026-03-02",
    "language": "tt",
    "id": "AAAAAAAAAAAAAAAAAAAAAA",
    "organisation": {"id": "x", "name": "«Ак калфак» сырхауханәсе"},
    "person": {"name": "Гөлнара Җамалиева", "born_on": "1990-01-02"},
    "signer": {"name": "Амина Хәсәнова"},
    "content": {"diagnosis": TATAR, "text": "#set page() *x* _y_ \\ $z$ @a\nикенче юл"},
    "supersedes": "BBBB",
}
FILE = signing.encode(signing.sign(SEED, BODY))


@pytest.fixture(scope="module")
def pdf() -> bytes:
    """A print of a document in Tatar."""
    address = address_of("https://house.example", signing.line(SEED, {"c": "x"}))
    return asyncio.run(OwnSigner(SEED, CLINIC).sign(page_of(FILE, address), NOW))


def test_a_print_says_all_of_it_in_tatar_and_reads_nothing_as_markup(pdf: bytes) -> None:
    """By the text that a reader copies out of it, with every font inside."""
    page = pypdfium2.PdfDocument(pdf)[0]
    text = page.get_textpage().get_text_bounded()
    for words in (TATAR, "#set page() *x* _y_ \\ $z$ @a", "икенче юл", "Гөлнара Җамалиева"):
        assert words in text
    assert "Медицина бәяләмәсе" in text
    assert "02.01.1990" in text
    fonts = {one.get_font().get_base_name() for one in page.get_objects([1])}
    assert all("Libertinus" in name for name in fonts)
    assert all(one.get_font().is_embedded for one in page.get_objects([1]))


def test_a_print_is_pdf_a_3b_with_its_signed_json_inside(pdf: bytes) -> None:
    """Identification, output intent and the attached source, as ISO 19005-3 asks for them."""
    root = PdfFileReader(io.BytesIO(pdf)).root
    about = bytes(root["/Metadata"].data)
    assert b"<pdfaid:part>3</pdfaid:part>" in about
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in about
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert root["/OutputIntents"][0]["/DestOutputProfile"].data
    attached = root["/AF"][0]
    assert attached["/AFRelationship"] == "/Source"
    assert attached["/EF"]["/F"].data == FILE
    assert "/Encrypt" not in PdfFileReader(io.BytesIO(pdf)).trailer


def test_another_maker_finds_its_pades_signature_whole(pdf: bytes) -> None:
    """pyHanko's validator, which shares no line with ours."""
    found = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[0]
    assert found.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    status = validate_pdf_signature(found, ValidationContext(trust_roots=[]))
    assert (status.intact, status.valid) == (True, True)
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE


def test_one_changed_byte_of_a_print_is_forged(pdf: bytes) -> None:
    """Every third byte of the signature's container, and some hundreds of all others."""
    assert pdf_signing.verify([PUBLIC], pdf).genuine
    hole = pdf.index(b"/Contents <") + len("/Contents ")
    end = pdf.index(b">", hole)
    draw = random.Random(4)  # noqa: S311 - which bytes to change
    for at in [*range(hole, end + 1, 3), *draw.sample(range(len(pdf)), 200)]:
        broken = bytearray(pdf)
        broken[at] ^= 1 << draw.randrange(8)
        assert not pdf_signing.verify([PUBLIC], bytes(broken)).genuine, at
    for broken_pdf in (pdf + b"\n", pdf[:-1], pdf + pdf, b"", b"%PDF-1.7"):
        assert not pdf_signing.verify([PUBLIC], broken_pdf).genuine
    assert pdf_signing.verify([bytes(32)], pdf).why is Why.OTHER_KEY


def test_what_is_added_behind_the_signature_is_forged(pdf: bytes) -> None:
    """PDF lets anybody add a page to what was signed, and readers show it."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter  # noqa: PLC0415

    out = io.BytesIO()
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Lang"] = writer.root["/Lang"]
    writer.update_root()  # type: ignore[no-untyped-call]
    writer.write(out)  # type: ignore[no-untyped-call]
    assert out.getvalue().startswith(pdf)
    assert not pdf_signing.verify([PUBLIC], out.getvalue()).genuine


def _other_signature(pdf: bytes) -> bytes:
    """The print with (r, n - s) in place of (r, s): what anybody makes who holds it, and no key."""
    at = pdf.index(b"/Contents <") + len(b"/Contents <")
    end = pdf.index(b">", at)
    packed = bytes.fromhex(pdf[at:end].decode())
    container = cms.ContentInfo.load(packed)
    old = container["content"]["signer_infos"][0]["signature"].native
    r, s = decode_dss_signature(old)
    new = encode_dss_signature(r, P256 - s)
    assert s <= P256 // 2
    container["content"]["signer_infos"][0]["signature"] = new
    spelt: str = container.dump(force=True).ljust(len(packed), b"\0").hex().upper()
    return pdf[:at] + spelt.encode() + pdf[end:]


async def test_a_print_with_the_other_signature_of_ecdsa_is_forged() -> None:
    """Each signature has a twin that holds as well; ours are the smaller ones, every time."""
    page = typst.compile(b"-", format="pdf", ignore_system_fonts=True)
    for _ in range(4):
        ours = await OwnSigner(SEED, "«Ак калфак»").sign(page, NOW)
        twin = _other_signature(ours)
        assert pdf_signing.verify([PUBLIC], ours).genuine
        assert pdf_signing.verify([PUBLIC], twin).why is Why.CHANGED
        assert pdf_signing.covered(twin) == pdf_signing.covered(ours)


def _offline(folder: Path, file: bytes, public: bytes) -> tuple[int, str]:
    """Run the command where there is no home, no setting and no house."""
    (folder / "file").write_bytes(file)
    (folder / "key.pem").write_text(signing.pem(public))
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "verify", folder / "file", "--key", folder / "key.pem"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_machine_with_nothing_but_key_and_file_tells_genuine_from_forged(
    tmp_path: Path, pdf: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, print and QR line; a home, a database or a setting there is none."""
    line = signing.line(SEED, {"c": "x", "n": "2026-000007", "k": "conclusion"})
    code, said = _offline(tmp_path, pdf, PUBLIC)
    assert (code, "GENUINE" in said) == (0, True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "key.pem"]
    told = {
        FILE: 0,
        FILE.replace(b"2026-000007", b"2026-000008"): 1,
        FILE + b"\n": 1,
        f"https://x/#/verify/{line}\n".encode(): 0,
        f"https://x\x1b7/#/verify/{line}".encode(): 0,
        f"{line[:-2]}AA".encode(): 1,
        pdf.replace(b"/Type", b"/Typf", 1): 1,
        b"": 1,
    }
    for file, expected in told.items():
        (tmp_path / "file").write_bytes(file)
        assert verify_file(tmp_path / "file", tmp_path / "key.pem") == expected
        said = capsys.readouterr().out
        assert said.startswith("FORGED" if expected else "GENUINE")
        assert ("2026-000007" in said) is (expected == 0)
        assert ("(x" in said and "is not signed" in said) is file.startswith(b"https://")
        assert "\x1b" not in said
    with pytest.raises(Cannot):
        verify_file(tmp_path / "nothing", tmp_path / "key.pem")
    with pytest.raises(Cannot):
        verify_file(tmp_path / "key.pem", tmp_path / "file")


async def test_the_house_knows_its_prints_and_every_changed_one(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    """Sealed in the store; the person takes it along, and anybody may ask about it."""
    done = await signed(db, house, settings, now)
    patient = await house.as_(db, house.patient)
    wanted: tuple[Audience, Form] = (Audience.FULL, "pdf")
    with pytest.raises(DocumentPrinting):
        await own_file(db, objects, patient, done.id, wanted, now=now)
    await print_all(db, objects, settings, done, now)
    await print_all(db, objects, settings, done, now)
    file = (await own_file(db, objects, patient, done.id, wanted, now=now)).content
    view = await db.scalar(select(DocumentViews.id).where(DocumentViews.audience == "full"))
    assert view is not None
    assert b"%PDF" not in await objects.get(object_key(view))
    wanted = (Audience.FULL, "json")
    json = (await own_file(db, objects, patient, done.id, wanted, now=now)).content
    assert pdf_signing.verify(await raw_keys(db), file).genuine
    pem = (await public_keys(db))[0].pem
    assert signing.verify(signing.public_keys_in(pem), json).genuine
    for one in (file, json):
        changed = bytearray(one)
        changed[len(one) // 2] ^= 1
        for content, state in ((one, CheckState.GENUINE), (bytes(changed), CheckState.FORGED)):
            found = await document_checks.check_file(db, content, "192.0.2.0/24", now)
            assert found.state is state
    doctor = await caller(db, house, house.doctor, now)
    await revoke(db, doctor, done.id, Revocation("Ошибка в датах"), now)
    for one in (file, json):
        found = await document_checks.check_file(db, one, "192.0.2.0/24", now)
        assert found.state is CheckState.REVOKED
    twin = await document_checks.check_file(db, _other_signature(file), "192.0.2.0/24", now)
    assert twin.state is CheckState.FORGED


async def test_a_document_asked_for_twice_at_once_is_printed_once(
    engine: AsyncEngine, settings: Settings, objects: Objects
) -> None:
    """The second run waits for the first and leaves its print: the register knows what is kept."""
    new_session = sessions(engine)
    async with new_session() as db, db.begin():
        house = await furnish(db)
        done = await signed(db, house, settings, NOW, Conclusion(text="Здоров."))

    async def print_it() -> None:
        async with new_session() as db, db.begin():
            await print_all(db, objects, settings, done, NOW)

    waits = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with new_session() as first, first.begin():
        await print_all(first, objects, settings, done, NOW)
        view = await first.scalar(select(DocumentViews.id))
        assert view is not None
        kept = await objects.get(object_key(view))
        second = asyncio.create_task(print_it())
        async with asyncio.timeout(20), engine.connect() as watcher:
            while not second.done() and not await watcher.scalar(waits):
                await watcher.rollback()  # or its view of the activity stays the first one
    await second
    assert await objects.get(object_key(view)) == kept
    async with new_session() as db:
        patient = await house.as_(db, house.patient)
        wanted: tuple[Audience, Form] = (Audience.FULL, "pdf")
        file = (await own_file(db, objects, patient, done.id, wanted, now=NOW)).content
        name = await db.scalar(select(DocumentViews.pdf_sha256))
        assert pdf_signing.covered(file) == name


async def test_a_strangers_question_reads_one_row_of_the_register(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    """By line, by signed JSON and by print the register is asked through an index."""
    done = await signed(db, house, settings, now, Conclusion(text="Здоров."))
    await print_all(db, objects, settings, done, now)
    patient = await house.as_(db, house.patient)
    asked: list[tuple[str, Any]] = []

    def keep(*said: Any) -> None:
        asked.extend([(said[2], said[3])] if "FROM document_views" in said[2] else [])

    connection = await db.connection()
    forms: tuple[Form, Form] = ("json", "pdf")
    files = [
        (await own_file(db, objects, patient, done.id, (Audience.FULL, form), now=now)).content
        for form in forms
    ]
    event.listen(connection.sync_connection, "before_cursor_execute", keep)
    for file in files:
        await document_checks.check_file(db, file, "192.0.2.0/24", now)
    await document_checks.check_line(db, done.views[0].line, "192.0.2.0/24", now)
    event.remove(connection.sync_connection, "before_cursor_execute", keep)
    assert len(asked) == 3
    # In a table of one row no index pays; without one there is no other way than reading all.
    await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    for statement, values in asked:
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        plan = "\n".join(rows.scalars())
        assert "Index Cond: (pdf_sha256 =" in plan or "Index Cond: (code =" in plan, plan


async def test_a_school_is_given_its_own_form_by_the_persons_word_and_answers(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    new, cast = await school_of(db, house)
    done = await signed(db, house, settings, now)
    await print_all(db, objects, settings, done, now)
    patient, doctor = [await house.as_(db, one) for one in (house.patient, house.doctor)]
    clerk, teacher = cast["clerk"], cast["teacher"]
    with pytest.raises(Forbidden):  # the doctor has no say in where it goes
        await give_to_school(db, doctor, done.id, new, now)
    assert (await received(db, clerk, new.organisation_id, now)).documents == []
    desk = await give_to_school(db, patient, done.id, new, now)
    assert desk == await give_to_school(db, patient, done.id, new, now)
    assert desk.schools == []
    there = (await received(db, clerk, new.organisation_id, now)).documents
    assert [one.number for one in there] == [done.number]
    with pytest.raises(Forbidden):
        await received(db, teacher, new.organisation_id, now)
    with pytest.raises(NotFound):
        await school_file(db, objects, teacher, there[0].id, "pdf", now=now)
    with pytest.raises(NotFound):
        await own_file(db, objects, clerk, done.id, (Audience.FULL, "json"), now=now)
    file = await school_file(db, objects, clerk, there[0].id, "pdf", now=now)
    text = pypdfium2.PdfDocument(file.content)[0].get_textpage().get_text_bounded()
    assert "05.03.2026" in text
    assert ILL.diagnosis not in text
    assert ILL.icd10 not in text
    attached = PdfFileReader(io.BytesIO(file.content)).root["/AF"][0]["/EF"]["/F"].data
    assert set(msgspec.json.decode(attached)["body"]["content"]) == {
        "absent_from",
        "absent_until",
        "sports_until",
    }
    with pytest.raises(OutOfRange):
        await answer(db, clerk, there[0].id, DeliveryAnswer(accepted=False), now)
    refusal = DeliveryAnswer(accepted=False, reason="Не та школа")
    await answer(db, clerk, there[0].id, refusal, now)
    await answer(db, clerk, there[0].id, refusal, now)
    with pytest.raises(DeliveryAnswered):
        await answer(db, clerk, there[0].id, DeliveryAnswer(accepted=True), now)
    shown = await deliveries(db, patient, done.id, now)
    assert [one.reason for one in shown.deliveries] == ["", "Не та школа"]
    told = select(Notices.code).where(Notices.person_id == house.doctor)
    assert "document_refused" in (await db.scalars(told)).all()


async def test_only_a_valid_certificate_goes_to_a_school_and_only_to_ones_own(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    new, _ = await school_of(db, house)
    patient = await house.as_(db, house.patient)
    other = await signed(db, house, settings, now, Conclusion(text="Здоров."))
    with pytest.raises(NoSchoolView):
        await give_to_school(db, patient, other.id, new, now)
    done = await signed(db, house, settings, now)
    with pytest.raises(NotFound):
        await give_to_school(db, patient, done.id, NewDelivery(house.clinic), now)
    person = await db.get_one(Persons, house.patient)
    person.born_on = datetime(2018, 1, 1).date()  # noqa: DTZ001 - a day
    await db.flush()
    with pytest.raises(ConsentNotYours):
        await give_to_school(db, patient, done.id, new, now)
    person.born_on = None
    await db.flush()
    doctor = await caller(db, house, house.doctor, now)
    await revoke(db, doctor, done.id, Revocation("Ошибка в датах"), now)
    with pytest.raises(DocumentNotSigned):
        await give_to_school(db, patient, done.id, new, now)
    own = (await document_deliveries.deliveries(db, patient, done.id, now)).deliveries[0]
    await answer(db, patient, own.id, DeliveryAnswer(accepted=True), now)
    assert (await deliveries(db, patient, done.id, now)).deliveries[0].accepted is True
