"""Prints signed by a service outside: over real HTTP, with authorities made for the test."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import typst
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import problem_of
from people import document_checks
from people.audit import WRITE_PATH
from people.document_checks import CheckState
from people.document_contents import Audience, Conclusion
from people.document_files import own_file
from people.document_outside import Outside, SignatureUnfit, SignerAway
from people.document_signing import DocumentNumbers
from people.documents import Documents, DocumentState, DocumentTexts, DocumentViews
from people.notices import Notices
from people.organisation_keys import raw_keys
from storage import pdf_signing
from storage.engine import new_id
from storage.objects import Objects
from storage.outside_signer import OutsideSigner
from storage.pdf_outside import Asked, OutsidePdfSigner, ServiceAway, ServiceUnfit, SigningService
from storage.settings import Settings
from storage.signing import Why, public_of, unb64
from tests.telemed.clinic_house import NOW, House
from tests.telemed.document_desk import ILL, print_all, signed
from tests.telemed.signing_service import TOKEN, Service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, listening."""
    with Service(tmp_path_factory.mktemp("signer")) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield service
        service.stopped.set()
        service.shutdown()
        thread.join()


@pytest.fixture
def service(running: Service) -> Service:
    """The service as it is when all is well."""
    running.how = "well"
    running.questions.clear()
    return running


async def test_a_print_carries_the_signature_of_the_service_and_our_seal(
    db: AsyncSession,
    house: House,
    settings: Settings,
    objects: Objects,
    service: Service,
) -> None:
    """pyHanko trusts it by the authority alone; by our public key it verifies asking nobody."""
    outside = Outside(SigningService(service.place), "https://house.example")
    done = await signed(db, house, settings, NOW, outside=outside)
    patient = await house.as_(db, house.patient)
    await print_all(db, objects, settings, done, NOW)
    await print_all(db, objects, settings, done, NOW)
    keys = await raw_keys(db)
    for audience in Audience:
        pdf = (await own_file(db, objects, patient, done.id, (audience, "pdf"), now=NOW)).content
        found = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
        later = NOW + timedelta(minutes=1)
        trusting = ValidationContext(trust_roots=[service.authority.trusted], moment=later)
        status = await async_validate_pdf_signature(found[0], trusting)
        assert (len(found), status.bottom_line, status.trusted) == (1, True, True)
        assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
        assert found[0].signer_cert.subject.native == {"common_name": "Doctor of A"}
        assert pdf_signing.verify(keys, pdf).genuine
        assert pdf_signing.verify([bytes(32)], pdf).why is Why.OTHER_KEY
        checked = await document_checks.check_file(db, pdf, "192.0.2.0/24", NOW)
        assert (checked.state, checked.audience) == (CheckState.GENUINE, audience)
    waiting = select(DocumentTexts.part).where(DocumentTexts.document_id == done.id)
    parts = (await db.scalars(waiting, execution_options=WRITE_PATH)).all()
    assert sorted(parts) == ["draft", "full", "school"]
    _one_changed_byte_is_forged(keys, pdf)


def _one_changed_byte_is_forged(keys: list[bytes], pdf: bytes) -> None:
    hole = pdf.index(b"/Contents <") + len("/Contents ")
    end = pdf.index(b">", hole)
    for at in [*range(hole, hole + 2600, 9), end - 1, *range(0, len(pdf), len(pdf) // 40)]:
        broken = bytearray(pdf)
        broken[at] ^= 1
        assert not pdf_signing.verify(keys, bytes(broken)).genuine, at


async def test_the_service_is_told_a_digest_and_ids_and_no_word_of_the_paper(
    db: AsyncSession,
    house: House,
    settings: Settings,
    service: Service,
) -> None:
    outside = Outside(SigningService(service.place), "https://house.example")
    done = await signed(db, house, settings, NOW, outside=outside)
    assert len(service.questions) == 2
    for asked in service.questions:
        assert len(unb64(asked.pop("digest"))) == 32
        assert asked == {
            "protocol": "yanasha-signer-1",
            "digest_algorithm": "sha256",
            "organisation": str(house.clinic),
            "signer": str(house.doctor),
            "number": done.number,
            "word": f"Bearer {TOKEN}",
        }
    assert TOKEN not in repr(service.place)
    assert ILL.diagnosis not in repr(service.questions)
    # The print waits for its job sealed, and is no part of what the document says.
    kept = select(DocumentTexts.sealed).where(DocumentTexts.part == "print:full")
    sealed = (await db.scalars(kept, execution_options=WRITE_PATH)).one()
    assert b"%PDF" not in sealed
    assert done.content == ILL


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ("fails", SignerAway),
        ("hangs", SignerAway),
        ("gone", SignerAway),
        ("stranger", SignatureUnfit),
    ],
)
async def test_without_a_right_signature_nothing_is_signed_and_no_number_is_used(  # noqa: PLR0917
    db: AsyncSession,
    house: House,
    settings: Settings,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    how: str,
    refusal: type[SignerAway | SignatureUnfit],
) -> None:
    """The draft stays as it was, nobody is told, and the next signing has the first number."""
    service.how, place = how, service.place
    if how == "gone":
        place = OutsideSigner("http://127.0.0.1:9/", place.authorities)
    patience_s = 0.3 if how == "hangs" else 5.0
    outside = Outside(SigningService(place, patience_s=patience_s), "https://x")
    health = Conclusion(text="Здоров.")
    with pytest.raises(refusal) as refused:
        async with db.begin_nested():
            await signed(db, house, settings, NOW, health, outside=outside)
    assert "signature service" in caplog.text
    assert ILL.diagnosis not in caplog.text
    problem, headers = problem_of(refused.value)
    assert (problem.status, problem.code) == (503, refusal.code)
    assert ("Retry-After" in headers) is (refusal is SignerAway)
    db.expire_all()
    for table in (DocumentViews, Documents, DocumentTexts):
        counted = select(func.count()).select_from(table)
        assert await db.scalar(counted, execution_options=WRITE_PATH) == 0
    assert (await db.scalars(select(Notices.code))).all() == []
    service.how = "well"
    again = Outside(SigningService(service.place), "https://x")
    done = await signed(db, house, settings, NOW, health, outside=again)
    assert (done.state, done.number) == (DocumentState.SIGNED, "2026-000001")


async def test_what_is_no_signature_of_this_print_by_somebody_trusted_is_refused(
    service: Service,
) -> None:
    """Whatever it sends, cut, padded, of something else: it is never taken for a signature."""
    page = typst.compile(b"-", format="pdf", ignore_system_fonts=True)
    asked = Asked(new_id(), new_id(), "2026-000001")
    signer = OutsidePdfSigner(SigningService(service.place), bytes(32), "Айболит", asked)
    for how in ("refuses", "moved", "nonsense", "empty", "endless", "padded", "half", "another"):
        service.how = how
        with pytest.raises(ServiceUnfit):
            await signer.sign(page, NOW)
    service.how = "well"
    assert pdf_signing.verify([public_of(bytes(32))], await signer.sign(page, NOW)).genuine


async def test_a_service_that_failed_is_left_alone_for_a_while(service: Service) -> None:
    """Who waits for his turn behind a question that was in vain waits no second time."""
    clock = [100.0]
    signing = SigningService(service.place, clock=lambda: clock[0])
    asked = Asked(new_id(), new_id(), "2026-000001")
    service.how = "fails"
    with pytest.raises(ServiceAway):
        await signing.signature(bytes(32), asked)
    service.how = "well"
    with pytest.raises(ServiceAway):
        await signing.signature(bytes(32), asked)
    assert len(service.questions) == 1
    clock[0] += 5
    assert await signing.signature(bytes(32), asked)
    wordless = SigningService(OutsideSigner(service.url, service.place.authorities, Path("/-")))
    with pytest.raises(ServiceAway):
        await wordless.signature(bytes(32), asked)


async def test_a_service_that_hangs_holds_few_and_no_longer_than_its_time(service: Service) -> None:
    """Six sign at once: four wait as long as the service has, two are refused at once."""
    service.how = "hangs"
    signing = SigningService(service.place, patience_s=0.4)

    async def one() -> None:
        asked = Asked(new_id(), new_id(), "2026-000001")
        async with signing.turn(asked.organisation):
            await signing.signature(bytes(32), asked)

    async with asyncio.timeout(5):
        found = await asyncio.gather(*(one() for _ in range(6)), return_exceptions=True)
    assert [type(one) for one in found] == [ServiceAway] * 6
    assert len(service.questions) <= 4


async def test_whoever_finds_no_place_at_the_service_keeps_nobody_waiting_for_the_number(
    db: AsyncSession, house: House, settings: Settings, service: Service
) -> None:
    """The next number is taken, and with it others' turn, only by who may ask at once."""
    signing = SigningService(service.place)
    async with AsyncExitStack() as taken:
        for _ in range(4):
            await taken.enter_async_context(signing.turn(new_id()))
        with pytest.raises(SignerAway):
            await signed(db, house, settings, NOW, outside=Outside(signing, "https://x"))
        assert await db.scalar(select(func.count()).select_from(DocumentNumbers)) == 0
    order = []

    async def one(word: str) -> None:
        async with signing.turn(house.clinic):
            order.append(word)
            await asyncio.sleep(0)
            order.append(word)

    await asyncio.gather(one("a"), one("b"))
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
