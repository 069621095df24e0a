"""ECG files of a visit over HTTP: looked at without a trace, kept whole, shown as strips."""

import asyncio
import hashlib
import io
from datetime import UTC, datetime
from uuid import uuid4
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pypdfium2
import pytest
from api_world import API, Client, World, code
from litestar import Litestar
from sqlalchemy import func, select

from api.door import MOST_OF_ONE, Door
from devices.ecg_files import EcgRecording, Lead, Mark, edf, wfdb
from devices.ecg_files import read as read_ecg
from people.audit import WRITE_PATH
from people.files import OBJECTS, Files
from storage.objects import Objects

BYTES = {"Content-Type": "application/octet-stream"}
BEGAN = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def recording(seconds: int = 40, leads: tuple[str, ...] = ("I", "II")) -> EcgRecording:
    """A beat a second of 1 mV; the tenth second is missing."""
    t = np.arange(seconds * 250) / 250
    beat = np.round(1000 * np.exp(-(((t % 1 - 0.5) / 0.015) ** 2))).astype(np.int16)
    samples = np.column_stack([beat] * len(leads))
    samples[9 * 250 : 10 * 250] = -32768
    return EcgRecording(
        250.0,
        tuple(Lead(name, 1000.0, 0) for name in leads),
        samples,
        BEGAN,
        (Mark(125, "N"),),
    )


class Room:
    """The ECG files of the world's visit, asked for by somebody."""

    def __init__(self, as_: Client, world: World) -> None:
        self.as_ = as_
        self.visit = f"{API}/visits/{world['visit']}"
        self.world = world

    async def look(self, who: str | None, data: bytes) -> httpx.Response:
        url = f"{self.visit}/ecg-files"
        return await self.as_(who).post(url, content=data, headers=BYTES)

    async def keep(self, who: str | None, data: bytes, **said: str) -> httpx.Response:
        params = {"name": "Кардиограмма.edf", "sha256": hashlib.sha256(data).hexdigest()}
        one = said.pop("id", str(uuid4()))
        url = f"{self.visit}/ecg-files/{one}"
        return await self.as_(who).put(url, params=params | said, content=data, headers=BYTES)

    async def get(self, who: str | None, path: str, **params: object) -> httpx.Response:
        return await self.as_(who).get(f"{self.visit}{path}", params=params)  # type: ignore[arg-type]

    async def rows(self) -> int:
        async with self.world.sessions() as db:
            query = select(func.count()).select_from(Files).where(Files.removed_at.is_(None))
            return (await db.scalars(query, execution_options=WRITE_PATH)).one()


@pytest.fixture
def room(as_: Client, world: World) -> Room:
    """The visit of doctor and patient."""
    return Room(as_, world)


def traces(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return [str(one.get("d")) for one in root.iter() if one.get("class") == "trace"]


async def test_a_file_is_looked_at_without_a_trace(room: Room, objects: Objects) -> None:
    before, there = await room.rows(), set(await objects.keys(OBJECTS))
    seen = await room.look("patient", edf.write(recording()))
    assert seen.status_code == 200, seen.text
    told = seen.json()
    assert (told["format"], told["rate_hz"], told["seconds"]) == ("edf", 250.0, 40.0)
    assert [lead["name"] for lead in told["leads"]] == ["I", "II"]
    assert told["leads"][0]["missing"] == pytest.approx(1 / 40)
    assert (told["started_at"], told["zoned"]) == ("2026-11-20T08:30:00+00:00", True)
    assert (told["marks"], told["from_s"], told["drawn"]) == (1, 0.0, 2)
    assert len(traces(told["strip"])) == 2
    assert await room.rows() == before
    assert set(await objects.keys(OBJECTS)) == there


async def test_a_kept_file_comes_back_as_it_was_and_as_strips(room: Room) -> None:
    data = wfdb.write(recording())
    made = await room.keep("patient", data, name="moscow.dat")
    assert made.status_code == 200, made.text
    row = made.json()
    assert (row["kind"], row["name"], row["preview"]) == ("ecg", "moscow.zip", True)
    [listed] = (await room.get("doctor", "/files")).json()
    assert (listed["id"], listed["side"]) == (row["id"], "patient")
    assert (await room.get("doctor", f"/files/{row['id']}")).content == data
    small = await room.get("doctor", f"/files/{row['id']}/preview")
    assert small.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox" in small.headers["Content-Security-Policy"]
    assert len(traces(small.text)) == 2

    strip = await room.get(
        "doctor", f"/ecg-files/{row['id']}", from_s=30, speed_mm_s="50", gain_mm_mv="20"
    )
    assert strip.status_code == 200, strip.text
    told = strip.json()
    assert (told["from_s"], told["sha256"]) == (30.0, hashlib.sha256(data).hexdigest())
    assert len(traces(told["strip"])) == 4  # two rows of five seconds, two leads each
    assert "50 мм/с, 20 мм/мВ" in told["strip"]
    assert "08:30:30" in told["strip"]


async def test_a_strip_of_a_file_is_printed_and_the_file_is_written_in_other_formats(
    room: Room,
) -> None:
    sent = recording()
    one = (await room.keep("patient", edf.write(sent))).json()["id"]
    sheet = await room.get("doctor", f"/ecg-files/{one}/print", from_s=5)
    assert (sheet.status_code, sheet.headers["Content-Type"]) == (200, "application/pdf")
    said = pypdfium2.PdfDocument(sheet.content)[0].get_textpage().get_text_bounded()
    assert "Кардиограмма.edf" in said
    for form in ("wfdb", "edf"):
        other = await room.get("doctor", f"/ecg-files/{one}/recording", form=form)
        assert other.status_code == 200, other.text
        back = read_ecg(io.BytesIO(other.content))
        assert np.array_equal(back.samples, sent.samples)
        assert (back.rate_hz, back.started_at, len(back.marks)) == (250.0, BEGAN, 1)
    assert code(await room.get("doctor", f"/ecg-files/{one}/recording", form="exe")) == (
        400,
        "malformed_body",
    )


async def test_who_asks_for_many_files_holds_nobody_else_up(room: Room, app: Litestar) -> None:
    """Of one reader no more than a line's worth waits; another's turn is the next one."""
    one = (await room.keep("patient", edf.write(recording(5)))).json()["id"]
    door: Door = app.state.house.ecg_reads

    async def reads() -> None:
        async with door.turn_of(str(room.world["patient"])):
            await asyncio.Event().wait()

    held = door.free
    flood = [asyncio.create_task(reads()) for _ in range(held + MOST_OF_ONE)]
    await asyncio.sleep(0)
    assert (await room.get("patient", f"/ecg-files/{one}")).status_code == 429
    doctors = asyncio.create_task(room.get("doctor", f"/ecg-files/{one}"))
    while door.waiting == MOST_OF_ONE:  # noqa: ASYNC110 - no event of ours
        await asyncio.sleep(0.01)
    for task in flood[:held]:
        task.cancel()
    assert (await doctors).status_code == 200
    for task in flood:
        task.cancel()


async def test_one_recording_at_a_time_is_written_for_a_reader(room: Room) -> None:
    """It lies on our disk until it is taken."""
    one = (await room.keep("patient", edf.write(recording(40)))).json()["id"]
    path = f"/ecg-files/{one}/recording"
    both = [room.get("doctor", path, form="wfdb") for _ in range(2)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*both)) == [200, 503]
    assert (await room.get("doctor", path, form="wfdb")).status_code == 200


async def test_sent_again_it_is_the_same_file(room: Room) -> None:
    data, one = edf.write(recording(5)), str(uuid4())
    first = await room.keep("patient", data, id=one)
    assert first.json() == (await room.keep("patient", data, id=one)).json()
    assert await room.rows() == 1


async def test_another_file_than_the_one_that_was_seen_is_not_kept(room: Room) -> None:
    answer = await room.keep("patient", edf.write(recording(5)), sha256="0" * 64)
    assert code(answer) == (409, "ecg_file_changed")
    assert await room.rows() == 0


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"", "ecg_file_empty"),
        (b"a letter", "ecg_file_unknown"),
        (edf.write(recording(5))[:-100], "ecg_file_truncated"),
        (b"PK\x03\x04 no archive", "ecg_file_broken"),
        (b"0       " + bytes(40), "ecg_file_truncated"),
    ],
    ids=["empty", "letter", "cut", "zip", "head"],
)
async def test_what_is_no_ecg_is_refused_by_its_content(
    room: Room, data: bytes, refused: str
) -> None:
    seen = await room.look("patient", data)
    assert code(seen) == (422, refused), seen.text
    kept = await room.keep("patient", data)
    assert code(kept) == (422, refused)
    assert await room.rows() == 0


async def test_too_many_bytes_are_refused_before_they_are_read(room: Room) -> None:
    headers = BYTES | {"Content-Length": str((25 << 20) + 1)}
    url = f"{room.visit}/ecg-files"
    answer = await room.as_("patient").post(url, content=b"x", headers=headers)
    assert code(answer) == (413, "file_too_large")


async def test_only_who_is_in_the_visit_looks_keeps_and_reads(room: Room) -> None:
    data = edf.write(recording(5))
    one = (await room.keep("doctor", data)).json()["id"]
    for who, status in ((None, 401), ("doctor_b", 404)):
        assert (await room.look(who, data)).status_code == status
        assert (await room.keep(who, data)).status_code == status
        for path in ("", "/print", "/recording"):
            answer = await room.get(who, f"/ecg-files/{one}{path}", form="edf")
            assert answer.status_code == status, path


async def test_by_its_name_alone_no_file_becomes_an_ecg(room: Room) -> None:
    url = f"{room.visit}/files/{uuid4()}"
    answer = await room.as_("patient").put(
        url, params={"name": "x.edf"}, content=edf.write(recording(5)), headers=BYTES
    )
    assert code(answer) == (422, "file_type_refused")


async def test_an_ecg_file_is_in_the_patients_record_for_who_may_see_it_whole(
    room: Room, world: World
) -> None:
    one = (await room.keep("doctor", edf.write(recording(12)), name="x.edf")).json()["id"]
    record = f"{API}/records/{world['patient']}/ecg-files"
    [row] = (await room.as_("patient").get(record)).json()
    assert (row["id"], row["name"], row["visit_id"]) == (one, "x.edf", str(world["visit"]))
    strip = await room.as_("patient").get(f"{record}/{one}", params={"from_s": 2})
    assert (strip.json()["from_s"], len(traces(strip.json()["strip"]))) == (2.0, 2)
    sheet = await room.as_("patient").get(f"{record}/{one}/print")
    assert sheet.content.startswith(b"%PDF-")
    # The doctor of the visit has the visit's page; the record is not open to him for it.
    for path in ("", f"/{one}", f"/{one}/print"):
        assert (await room.as_("doctor").get(record + path)).status_code == 404
    other = f"{API}/records/{world['patient2']}/ecg-files/{one}"
    assert (await room.as_("patient2").get(other)).status_code == 404
    await room.as_("doctor").delete(f"{room.visit}/files/{one}")
    assert (await room.as_("patient").get(record)).json() == []
