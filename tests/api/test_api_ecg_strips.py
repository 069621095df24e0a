"""Strips of a visit's ECG and the analysis of a stored stretch, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pypdfium2
import pytest
from api_server import FRAME_SAMPLES, Recorder, Server
from api_world import API, code

from devices.ecg_files.wfdb import read_beats, read_record
from devices.frames import encode, frame_of

SAMPLE = Path(__file__).parents[2] / "devices" / "samples" / "100_2min"
FRAMES = 200
# Two seconds that never came: ten frames of the forty seconds.
HOLE = range(100, 110)
FRAME_US = 200_000
REMARK = "Перед нагрузкой. " + "ритм ровный, жалоб нет; " * 19 + "Конец записи."


@pytest.fixture
async def recorded(server: Server) -> AsyncIterator[tuple[Recorder, str]]:
    """The sample's first forty seconds, stored but for a hole; the recorder and its visit's URL."""
    samples = read_record(SAMPLE).samples[: FRAMES * FRAME_SAMPLES, 0].astype(np.int16)
    pieces = samples.reshape(FRAMES, FRAME_SAMPLES)
    async with server.recorder() as recorder:
        await recorder.announce()
        for number in [n for n in range(FRAMES) if n not in HOLE]:
            at_us = recorder.started_us + number * FRAME_US
            await recorder.ws.send(encode(frame_of(recorder.stream, number, at_us, pieces[number])))
        await recorder.stored(HOLE[0] - 1)
        yield recorder, f"{API}/visits/{server.world['visit']}"


def _new(recorder: Recorder, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "from_us": recorder.started_us,
        "until_us": recorder.started_us + 10_000_000,
        "speed_mm_s": 25,
        "gain_mm_mv": 10,
        "remark": "Перед нагрузкой",
        **changes,
    }


async def _analysis(
    client: httpx.AsyncClient, recorder: Recorder, visit: str, seconds: float
) -> dict[str, Any]:
    until = recorder.started_us + int(seconds * 1e6)
    asked = {"from_us": recorder.started_us, "until_us": until}
    answer = await client.get(f"{visit}/ecg/{recorder.stream}/analysis", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_stored_stretch_is_analysed_with_its_gap(
    server: Server, recorded: tuple[Recorder, str]
) -> None:
    """Each annotated beat is found where it is, and none in the hole."""
    recorder, visit = recorded
    async with server.client("patient") as client:
        found = await _analysis(client, recorder, visit, 60)
    begins = recorder.started_us
    hole = [begins + HOLE[0] * FRAME_US, begins + (HOLE[-1] + 1) * FRAME_US]
    assert found["gaps"] == [hole]
    assert not [at for at in found["beats"] if hole[0] <= at < hole[1]]
    marked = read_beats(SAMPLE).samples / 360 * 1e6 + begins
    inside = [
        at
        for at in marked
        if begins + 500_000 < at < begins + 39_500_000
        and not hole[0] - 500_000 < at < hole[1] + 500_000
    ]
    beats = np.array(found["beats"])
    assert max(float(np.abs(beats - at).min()) for at in inside) < 100_000
    assert [second["at_us"] for second in found["seconds"][:3]] == [
        begins,
        begins + 1_000_000,
        begins + 2_000_000,
    ]
    # Looking both ways: the first second is judged by what follows.
    assert {second["quality"] for second in found["seconds"][:19]} == {"good"}
    assert {second["quality"] for second in found["seconds"][20:22]} == {"lead_off"}


async def test_the_doctor_attaches_a_strip_once_and_both_sides_read_it(
    server: Server, recorded: tuple[Recorder, str]
) -> None:
    recorder, visit = recorded
    new = _new(recorder, speed_mm_s=12.5, remark=REMARK)
    url = f"{visit}/ecg/{recorder.stream}/strips"
    async with server.client("doctor") as doctor, server.client("patient") as patient:
        async with server.page("patient") as page:
            made = await doctor.post(url, json=new)
            assert made.status_code == 201, made.text
            await page.of("ecg_strips")
        again = await doctor.post(url, json=new)
        assert again.json() == made.json()
        other = await doctor.post(url, json=new | {"remark": "другое"})
        assert code(other) == (409, "ecg_strip_id_used")
        assert code(await patient.post(url, json=_new(recorder))) == (403, "forbidden")
        (listed,) = (await patient.get(f"{visit}/ecg-strips")).json()
        assert listed == made.json()
        assert (listed["lead"], listed["remark"]) == ("MLII", REMARK)
        one = f"{visit}/ecg-strips/{new['id']}"
        svg, pdf = await patient.get(f"{one}/svg"), await patient.get(f"{one}/pdf")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert "Перед нагрузкой" in svg.text
    assert "Конец записи." in svg.text
    assert "12,5 мм/с, 10 мм/мВ" in svg.text
    assert svg.headers["content-security-policy"].startswith("sandbox")
    assert pdf.content.startswith(b"%PDF")
    said = pypdfium2.PdfDocument(pdf.content)[0].get_textpage().get_text_bounded()
    assert "Конец записи." in said
    async with server.client("doctor2") as stranger:
        for path in ("", f"/{new['id']}/svg", f"/{new['id']}/pdf"):
            assert (await stranger.get(f"{visit}/ecg-strips{path}")).status_code == 404


async def test_the_patient_is_told_of_a_visits_first_strip(
    server: Server, recorded: tuple[Recorder, str]
) -> None:
    """Who has no page open would hear of none; who has one hears of each there."""
    recorder, visit = recorded
    async with server.client("doctor") as doctor, server.client("patient") as patient:
        for _ in range(2):
            made = await doctor.post(f"{visit}/ecg/{recorder.stream}/strips", json=_new(recorder))
            assert made.status_code == 201, made.text
        notices = (await patient.get(f"{API}/notices")).json()["notices"]
        strips = [one for one in notices if one["code"] == "visit_ecg_strip"]
        assert [one["about_id"] for one in strips] == [str(server.world["visit"])]
        told = (await doctor.get(f"{API}/notices")).json()["notices"]
    assert not [one for one in told if one["code"] == "visit_ecg_strip"]


async def test_a_strip_of_nothing_and_one_too_long_are_refused(
    server: Server, recorded: tuple[Recorder, str]
) -> None:
    recorder, visit = recorded
    begins, url = recorder.started_us, f"{visit}/ecg/{recorder.stream}/strips"
    hole_us = begins + HOLE[0] * FRAME_US
    async with server.client("doctor") as doctor:
        empty = _new(recorder, from_us=hole_us, until_us=hole_us + 1_000_000)
        assert code(await doctor.post(url, json=empty)) == (409, "ecg_strip_empty")
        long = await doctor.post(url, json=_new(recorder, until_us=begins + 30_000_001))
        assert code(long) == (422, "bad_ecg_span")
        assert long.json()["errors"][0]["field"] == "until_us"
        back = await doctor.post(url, json=_new(recorder, until_us=begins))
        assert code(back) == (422, "bad_ecg_span")
        odd = await doctor.post(url, json=_new(recorder, speed_mm_s=30))
        assert odd.status_code in {400, 422}
        assert (await doctor.get(f"{visit}/ecg-strips")).json() == []
