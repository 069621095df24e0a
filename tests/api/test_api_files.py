"""Files of a visit over HTTP: taken in by both sides, given out so that nothing in them can act."""

import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import PIL.Image
import pytest
from api_world import API, Client, World, code
from litestar import Litestar
from sqlalchemy import select, text

from people.audit import WRITE_PATH, AuditReads
from people.files import OBJECTS, Files
from storage.objects import Objects

sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))

from file_zoo import ZOO, office, pdf, photo


class Visit:
    """The files of the world's visit, asked for by somebody."""

    def __init__(self, as_: Client, world: World) -> None:
        self.as_ = as_
        self.url = f"{API}/visits/{world['visit']}/files"
        self.world = world

    async def add(
        self, who: str | None, name: str, data: bytes, *, one: UUID | None = None, **more: str
    ) -> httpx.Response:
        """Hand a file in."""
        headers = {"Content-Type": "application/octet-stream", **more}
        url = f"{self.url}/{one or uuid4()}"
        return await self.as_(who).put(url, params={"name": name}, content=data, headers=headers)

    async def list(self, who: str) -> list[dict[str, object]]:
        """The list as somebody reads it."""
        answer = await self.as_(who).get(self.url)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, object]] = answer.json()
        return rows

    async def rows(self) -> int:
        """How many files there are."""
        async with self.world.sessions() as db:
            query = select(Files.id).where(Files.removed_at.is_(None))
            return len((await db.scalars(query, execution_options=WRITE_PATH)).all())


@pytest.fixture
def visit(as_: Client, world: World) -> Visit:
    """The visit of doctor and patient."""
    return Visit(as_, world)


async def of_run(objects: Objects) -> set[str]:
    """Objects of files, other tests' among them."""
    return set(await objects.keys(OBJECTS))


async def test_a_photo_of_the_patient_is_seen_by_the_doctor_without_what_it_tells(
    visit: Visit, objects: Objects
) -> None:
    made = await visit.add("patient", "Анализ крови.JPG", photo())
    assert made.status_code == 200, made.text
    [row] = await visit.list("doctor")
    assert (row["name"], row["kind"], row["side"]) == ("Анализ крови.JPG", "jpeg", "patient")
    assert (row["mine"], row["preview"], row["lost"]) == (False, True, False)
    assert [one["mine"] for one in await visit.list("patient")] == [True]
    whole = await visit.as_("doctor").get(f"{visit.url}/{row['id']}")
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "image/jpeg")
    assert len(whole.content) == row["size"]
    with PIL.Image.open(io.BytesIO(whole.content)) as picture:
        assert picture.size == (48, 64), "turned as it is to be seen"
        assert dict(picture.getexif()) == {}
    assert b"anary" not in whole.content
    small = await visit.as_("doctor").get(f"{visit.url}/{row['id']}/preview")
    assert small.headers["Content-Type"] == "image/webp"
    async with visit.world.sessions() as db:
        file = await db.scalar(select(Files), execution_options=WRITE_PATH)
        assert file is not None
        assert "Анализ".encode() not in file.sealed_name
        lies = await objects.get(f"{OBJECTS}{file.object_id}/whole")
    assert whole.content[:100] not in lies


async def test_what_is_no_picture_is_saved_and_never_shown(visit: Visit) -> None:
    made = await visit.add("doctor", "Заключение.docx", office())
    url = f"{visit.url}/{made.json()['id']}"
    answer = await visit.as_("patient").get(url, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"PK\x03\x04")
    said = answer.headers
    assert said["Content-Disposition"].startswith("attachment; filename*=UTF-8''%D0%97")
    assert said["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert said["X-Content-Type-Options"] == "nosniff"
    assert said["Cache-Control"] == "private, no-cache"
    assert code(await visit.as_("patient").get(f"{url}/preview")) == (404, "not_found")


async def test_a_pdf_is_kept_as_it_came_and_its_first_page_is_shown(visit: Visit) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    client = visit.as_("doctor")
    assert (await client.get(f"{visit.url}/{made['id']}")).content == pdf()
    small = await client.get(f"{visit.url}/{made['id']}/preview")
    with PIL.Image.open(io.BytesIO(small.content)) as picture:
        assert picture.size == (800, 1200)


@pytest.mark.parametrize("who", ["doctor2", "patient2", "clinic_admin", "doctor_b", "pupil"])
async def test_a_stranger_finds_no_file_and_hands_none_in(visit: Visit, who: str) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    client, url = visit.as_(who), f"{visit.url}/{made['id']}"
    for answer in (
        await visit.add(who, "a.pdf", pdf()),
        await client.get(visit.url),
        await client.get(url),
        await client.get(f"{url}/preview"),
        await client.delete(url),
    ):
        assert code(answer) == (404, "not_found")


async def test_nobody_is_asked_to_sign_in_before_a_byte_is_read(visit: Visit) -> None:
    assert code(await visit.add(None, "a.pdf", pdf())) == (401, "not_signed_in")


async def test_the_same_file_sent_again_is_one_and_its_id_is_no_other_files(visit: Visit) -> None:
    one = uuid4()
    first = await visit.add("patient", "a.pdf", pdf(), one=one)
    again = await visit.add("patient", "a.pdf", pdf(), one=one)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert await visit.rows() == 1
    for who, data in (("doctor", pdf()), ("patient", pdf(pages=2))):
        refused = await visit.add(who, "a.pdf", data, one=one)
        assert code(refused) == (409, "file_id_used")


async def test_one_takes_back_what_one_handed_in_and_nobody_elses(visit: Visit) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    url = f"{visit.url}/{made['id']}"
    assert code(await visit.as_("doctor").delete(url)) == (403, "forbidden")
    assert (await visit.as_("patient").delete(url)).status_code == 204
    assert await visit.list("doctor") == []
    assert code(await visit.as_("patient").get(url)) == (404, "not_found")


async def test_after_the_visit_files_are_read_and_not_changed(visit: Visit) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    url = f"{visit.url}/{made['id']}"
    await visit.as_("doctor").post(f"{API}/visits/{visit.world['visit']}/close")
    for who in ("patient", "doctor"):
        assert (await visit.as_(who).get(url)).status_code == 200
        assert code(await visit.add(who, "b.pdf", pdf())) == (403, "forbidden")
    assert code(await visit.as_("patient").delete(url)) == (403, "forbidden")


async def test_each_look_at_files_leaves_a_trace(visit: Visit) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    await visit.list("doctor")
    await visit.as_("doctor").get(f"{visit.url}/{made['id']}")
    async with visit.world.sessions() as db:
        query = select(AuditReads.act).where(AuditReads.actor_id == visit.world["doctor"])
        assert (await db.scalars(query)).all() == ["see_visit_files"] * 2


@pytest.mark.parametrize(
    "what",
    [
        "a PDF with a packed script",
        "a picture of four thousand megapixels",
        "a program by its own name",
    ],
)
async def test_a_bad_file_is_refused_by_its_code_and_nothing_of_it_stays(
    visit: Visit, objects: Objects, app: Litestar, what: str
) -> None:
    before, bad = await of_run(objects), ZOO[what]
    refused = await visit.add("patient", bad.name, bad.make())
    assert code(refused) == (422, bad.code)
    assert [one["field"] for one in refused.json()["errors"]] == ["file"]
    assert await of_run(objects) == before
    assert await visit.rows() == 0
    uploads = app.state.house.settings.home / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


async def test_a_body_says_its_length_and_is_no_larger_than_its_kind(visit: Visit) -> None:
    async def drops() -> AsyncIterator[bytes]:
        yield pdf()

    headers = {"Content-Type": "application/octet-stream"}
    url = f"{visit.url}/{uuid4()}?name=a.pdf"
    unsaid = await visit.as_("patient").put(url, content=drops(), headers=headers)
    assert code(unsaid) == (411, "length_needed")
    large = await visit.add("patient", "a.txt", b"a" * ((2 << 20) + 1))
    assert (code(large), large.json()["params"]) == ((413, "file_too_large"), {"max_mb": 2})
    lied = await visit.add("patient", "a.pdf", pdf(), **{"Content-Length": "10"})
    assert code(lied) == (413, "file_too_large")
    wrong = await visit.add("patient", "a.pdf", pdf(), **{"Content-Type": "text/html"})
    assert code(wrong) == (415, "unsupported_media_type")


async def test_a_file_whose_bytes_are_gone_says_so(visit: Visit) -> None:
    made = (await visit.add("patient", "a.pdf", pdf())).json()
    async with visit.world.sessions() as db, db.begin():
        await db.execute(text("UPDATE files SET lost_at = now()"))
    assert [one["lost"] for one in await visit.list("doctor")] == [True]
    gone = await visit.as_("doctor").get(f"{visit.url}/{made['id']}")
    assert code(gone) == (410, "file_lost")


async def test_a_file_that_is_kept_keeps_its_bytes_whatever_breaks_behind(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat is told that the file is there, so it had better be."""

    def breaks(*_: object) -> None:
        raise RuntimeError("after the commit")

    one = uuid4()
    with monkeypatch.context() as broken:
        broken.setattr("api.house.react", breaks)
        assert (await visit.add("patient", "a.pdf", pdf(), one=one)).status_code == 500
    assert (await visit.add("patient", "a.pdf", pdf(), one=one)).status_code == 200
    there = await visit.as_("doctor").get(f"{visit.url}/{one}")
    assert (there.status_code, there.content) == (200, pdf())
