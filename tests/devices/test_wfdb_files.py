"""WFDB records on the disk: the sample that comes with the product, and damaged copies."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import devices
from devices.ecg_files import BadFile, Fault
from devices.ecg_files.model import MAX_SAMPLES
from devices.ecg_files.wfdb import read_beats, read_record

SAMPLES = Path(devices.__file__).parent / "samples"
SAMPLE = SAMPLES / "100_2min"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for end in ("hea", "dat", "atr"):
        shutil.copy(SAMPLE.with_suffix(f".{end}"), tmp_path)
    return tmp_path / "100_2min"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_sample_is_two_minutes_of_two_leads_at_360_hz() -> None:
    record = read_record(SAMPLE)
    assert (record.rate_hz, record.samples.shape) == (360, (43200, 2))
    assert [(lead.name, lead.gain_per_mv, lead.baseline) for lead in record.leads] == [
        ("MLII", 200, 1024),
        ("V5", 200, 1024),
    ]


def test_the_samples_are_those_of_the_published_record() -> None:
    """Record 100 begins with eight equal samples, a mark left by its digitisation."""
    samples = read_record(SAMPLE).samples
    assert samples[:10, 0].tolist() == [995, 995, 995, 995, 995, 995, 995, 995, 1000, 997]
    assert samples[:10, 1].tolist() == [1011, 1011, 1011, 1011, 1011, 1011, 1011, 1011, 1008, 1008]


def test_the_sample_has_148_beats_of_which_two_or_more_are_early() -> None:
    beats = read_beats(SAMPLE)
    assert len(beats.samples) == 148
    assert beats.samples[:4].tolist() == [77, 370, 662, 946]
    assert set(beats.symbols) == {"N", "A"}
    assert beats.flutter == ()


def test_origin_and_licence_lie_beside_the_sample() -> None:
    assert "MIT-BIH Arrhythmia Database" in (SAMPLES / "ORIGIN.txt").read_text()
    assert "ODC-BY 1.0" in (SAMPLES / "LICENCE.txt").read_text()


def test_a_lead_is_found_by_name_else_it_is_the_first() -> None:
    record = read_record(SAMPLE)
    assert (record.lead("V5"), record.lead("aVR")) == (1, 0)


def test_a_truncated_recording_is_refused(copy: Path) -> None:
    data = copy.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(BadFile, match="truncated: dat"):
        read_record(copy)


def test_a_recording_with_one_changed_bit_is_refused(copy: Path) -> None:
    data = bytearray(copy.with_suffix(".dat").read_bytes())
    data[1000] ^= 1
    copy.with_suffix(".dat").write_bytes(data)
    with pytest.raises(BadFile, match="damaged: checksum"):
        read_record(copy)


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("995 -3226", "996 -3226", Fault.DAMAGED, "first sample"),
        ("100_2min 2 360", "100_2min 3 360", Fault.TRUNCATED, "hea"),
        ("100_2min 2 360", "100_2min/4 2 360", Fault.NOT_READ, "segments"),
        ("100_2min 2 360", "100_2min two 360", Fault.DAMAGED, "hea"),
        ("100_2min 2 360", "100_2min 2 0", Fault.INCONSISTENT, "rate"),
        ("360 43200", "360 -43200", Fault.NO_ECG, "hea"),
        ("360 43200", "360 43200000", Fault.TOO_LARGE, "hea"),
        (
            "100_2min.dat 212 200 11 1024 995",
            "x.dat 212x4 200 11 1024 995",
            Fault.NOT_READ,
            "format",
        ),
        (
            "100_2min.dat 212 200 11 1024 995",
            "../x.dat 212 200 11 1024 995",
            Fault.NOT_READ,
            "file",
        ),
        (
            "100_2min.dat 212 200 11 1024 995",
            "100_2min.dat 16 200 11 1024 995",
            Fault.NOT_READ,
            "format",
        ),
        ("dat 212", "dat 8", Fault.NOT_READ, "format"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    copy: Path, old: str, new: str, code: Fault, where: str
) -> None:
    edit(copy.with_suffix(".hea"), old, new)
    with pytest.raises(BadFile) as bad:
        read_record(copy)
    assert (bad.value.code, bad.value.where) == (code, where)


def test_a_header_without_a_length_takes_no_more_than_a_recording_may_hold(tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_text("r 1 250\nr.dat 80\n")
    (tmp_path / "r.dat").write_bytes(bytes(MAX_SAMPLES + 1))
    with pytest.raises(BadFile) as bad:
        read_record(tmp_path / "r")
    assert bad.value.code is Fault.TOO_LARGE


def test_format_16_is_read_with_its_own_baseline_and_unit(tmp_path: Path) -> None:
    values = np.array([[5, -7], [-32768, 32767], [0, 1]], "<i2")
    (tmp_path / "r.dat").write_bytes(values.tobytes())
    (tmp_path / "r.hea").write_text(
        "# a comment\nr 2 500/500(0) 3\n"
        "r.dat 16 1000.5(-3)/mV 16 0 5 -32763 0 lead I\nr.dat 16 0 16 4\n"
    )
    record = read_record(tmp_path / "r.hea")
    assert np.array_equal(record.samples, values)
    assert record.rate_hz == 500
    assert record.leads[0].name == "lead I"
    assert (record.leads[0].gain_per_mv, record.leads[0].baseline) == (1000.5, -3)
    assert (record.leads[1].gain_per_mv, record.leads[1].baseline) == (200, 4)


def test_an_invalid_sample_of_format_212_reads_as_missing(tmp_path: Path) -> None:
    # -2048 and 2047, in twelve bits each; then one odd sample, -1.
    (tmp_path / "r.dat").write_bytes(bytes([0x00, 0x78, 0xFF, 0xFF, 0x0F]))
    (tmp_path / "r.hea").write_text("r 1 360 3\nr.dat 212\n")
    assert read_record(tmp_path / "r").samples[:, 0].tolist() == [-32768, 2047, -1]


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


def test_marks_that_are_no_beats_are_left_out_and_long_gaps_are_followed(tmp_path: Path) -> None:
    normal, rhythm, skip, aux, number = 1 << 10, 28 << 10, 59 << 10, 63 << 10, 60 << 10
    flutter_on, flutter_off = 32 << 10, 33 << 10
    (tmp_path / "r.atr").write_bytes(
        words(rhythm | 10, aux | 3)
        + b"(N\0\0"
        + words(normal | 5, number | 1, skip, 1, 34464, normal, flutter_on | 5, flutter_off | 7, 0)
    )
    beats = read_beats(tmp_path / "r")
    assert beats.samples.tolist() == [15, 100015]
    assert beats.flutter == ((100020, 100027),)


def test_annotations_cut_short_are_refused(copy: Path) -> None:
    marks = copy.with_suffix(".atr")
    marks.write_bytes(marks.read_bytes()[:-2])
    with pytest.raises(BadFile, match="truncated: atr"):
        read_beats(copy)
