"""What the child that reads an ECG file tells, and what its captured self could leave."""

import io
from pathlib import Path

import msgspec
import numpy as np
import pytest

from devices.bad_file import Fault
from devices.ecg.quality import Reason
from devices.ecg.strip import Block, Drawing, Style, to_svg
from devices.ecg.strip import Path as Stroke
from devices.ecg_files import EcgRecording, Format, Lead, edf, read
from storage import limited_child
from telemed import ecg_files
from telemed.ecg_file_child import FOUND, MADE, TWELVE, Asked, EcgFound, Window, look
from telemed.ecg_files import EcgFileRefused

RATE_HZ = 250


def recording(names: tuple[str, ...], seconds: int = 12) -> EcgRecording:
    """A beat of 1 mV each 0.8 s; the last lead is flat."""
    t = np.arange(seconds * RATE_HZ) / RATE_HZ
    beat = 1000 * np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2))
    noise = np.random.default_rng(3).normal(0, 5, (len(t), len(names)))
    samples = (beat[:, None] + noise).astype(np.int16)
    if len(names) > 1:
        samples[:, -1] = 0
    return EcgRecording(RATE_HZ, tuple(Lead(name, 1000.0, 0) for name in names), samples)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    return made


def found_in(one: EcgRecording, folder: Path, asked: Asked | None = None) -> EcgFound:
    file = folder / "file"
    file.write_bytes(edf.write(one))
    return look(file, asked or Asked(), folder)


def test_of_twelve_leads_it_says_whether_they_can_be_read(folder: Path) -> None:
    found = found_in(recording(TWELVE), folder)
    assert found.acceptable is False
    assert [(one.lead, one.reason) for one in found.doubts] == [("V6", Reason.FLAT_LINE)]


def test_other_leads_are_not_judged(folder: Path) -> None:
    found = found_in(recording(("II",)), folder)
    assert (found.acceptable, found.doubts) == (None, [])


def test_a_window_beyond_the_end_is_the_last_one(folder: Path) -> None:
    found = found_in(recording(("II",)), folder, Asked(window=Window(from_s=1e6)))
    assert (found.from_s, found.drawn) == (2.0, 1)


def test_it_writes_the_format_that_is_asked_for(folder: Path) -> None:
    one = recording(("I", "II"))
    found_in(one, folder, Asked(write=Format.WFDB))
    back = read(io.BytesIO((folder / MADE).read_bytes()))
    assert np.array_equal(back.samples, one.samples)


def test_a_rate_of_an_oscilloscope_is_drawn_in_bounded_time(folder: Path) -> None:
    wide = EcgRecording(
        100_000.0,
        tuple(Lead(name, 1000.0, 0) for name in "ABCDEFGHIJKLMNOPQR"),
        np.zeros((200_000, 18), np.int16),
    )
    (folder / "file").write_bytes(edf.write(wide))
    found = look(folder / "file", Asked(window=Window(seconds=30)), folder)
    assert (found.drawn, len(found.leads)) == (16, 18)
    assert len(msgspec.json.encode(found)) < 2 << 20


@pytest.mark.parametrize(
    "left",
    [
        None,
        b"{}",
        b"not json",
        msgspec.json.encode(EcgFound(format="exe")),
        msgspec.json.encode(EcgFound(format="edf", rate_hz=1)),
    ],
    ids=["nothing", "empty", "words", "format", "no strip"],
)
async def test_what_a_captured_child_leaves_is_not_trusted(
    left: bytes | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def captured(*_: object, **__: object) -> int:
        if left is not None:
            (folder / FOUND).write_bytes(left)
        return 0

    monkeypatch.setattr(limited_child, "run_forked", captured)
    with pytest.raises(EcgFileRefused) as refused:
        await ecg_files.look(folder / "file", folder, Asked())
    assert refused.value.code == "ecg_file_broken"


async def test_a_link_for_a_recording_is_not_followed(folder: Path) -> None:
    (folder / MADE).symlink_to("/etc/hostname")
    with pytest.raises(EcgFileRefused):
        await ecg_files.written(folder)


def test_a_drawing_of_a_captured_child_cannot_act() -> None:
    stroke = Stroke(Style.TRACE, '"/><script>alert(1)</script>')
    block = Block(10, (stroke,), ())
    assert "<script" not in to_svg(Drawing("x", None, block, (block,)))


def test_a_fault_of_the_file_has_its_code() -> None:
    assert EcgFileRefused(Fault.NO_ECG).code == "ecg_file_no_ecg"
    assert EcgFileRefused(Fault.INCONSISTENT).code == "ecg_file_broken"
