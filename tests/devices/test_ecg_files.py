"""ECG recordings out of every format we read, and those we write out and in again."""

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from ecg_file_makers import APPLE, aecg, atc, recording, scp, wave

import devices
from devices.ecg_files import BadFile, EcgRecording, Fault, Lead, Mark, edf, read, wfdb
from devices.ecg_files.model import MISSING, from_counts, from_millivolts

SAMPLES = Path(devices.__file__).parent / "samples"
MOSCOW = timezone(timedelta(hours=3))
MARKS = (
    Mark(0, "+", "(N"),
    Mark(77, "N"),
    Mark(370, "V"),
    Mark(370, '"', "больно"),
    Mark(371, '"', "N|not a mark of ours"),
    Mark(1400, "#42", ""),
    Mark(1499, '"', ""),
)


def of(data: bytes) -> EcgRecording:
    return read(io.BytesIO(data))


def same(one: EcgRecording, other: EcgRecording) -> None:
    assert np.array_equal(one.samples, other.samples)
    assert one.samples.dtype == other.samples.dtype == np.int16
    assert (one.rate_hz, one.started_at, one.marks) == (
        other.rate_hz,
        other.started_at,
        other.marks,
    )
    assert one.leads == other.leads


STARTS = [
    None,
    datetime(2026, 3, 1, 8, 30),  # noqa: DTZ001 - a recorder without a zone
    datetime(2026, 3, 1, 8, 30, 15, 125000, tzinfo=MOSCOW),
    datetime(2026, 3, 1, 23, 59, 59, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
]


@pytest.mark.parametrize("started_at", STARTS)
@pytest.mark.parametrize("rate_hz", [360, 500, 128, 512.4, 99.5])
@pytest.mark.parametrize("write", [wfdb.write, edf.write])
def test_what_is_written_is_read_again_to_the_last_sample_mark_and_second(
    write: object, rate_hz: float, started_at: datetime | None
) -> None:
    made = replace(recording(rate_hz=rate_hz, marks=MARKS), started_at=started_at)
    made.samples[40:60, 1] = MISSING
    same(of(write(made)), made)  # type: ignore[operator]


def test_a_recording_that_fills_its_last_record_has_no_end_noted() -> None:
    made = recording(count=720)
    same(of(edf.write(made)), made)


def test_the_sample_that_comes_with_the_product_survives_both_formats() -> None:
    parts = {path.name: path.read_bytes() for path in SAMPLES.glob("100_2min.*")}
    sample = wfdb.read_parts(parts)
    assert sample.samples[:3].tolist() == [[995, 1011]] * 3
    assert (sample.rate_hz, sample.samples.shape) == (360, (43200, 2))
    assert sample.marks[:2] == (Mark(18, "+", "(N"), Mark(77, "N"))
    assert sum(mark.symbol in "NA" for mark in sample.marks) == 148
    assert abs(float(sample.millivolts(0)[0]) - (995 - 1024) / 200) < 1e-6
    same(of(wfdb.write(sample)), sample)
    same(of(edf.write(sample)), sample)


def test_written_files_hold_nothing_of_a_patient() -> None:
    whole = edf.write(recording())
    assert whole[8:88].split() == [b"X", b"X", b"X", b"X"]


def packed(form: str) -> tuple[bytes, list[int]]:  # noqa: PLR0911 - a format a line
    """Bytes of a format as the manual page draws them, and their samples."""
    if form == "24":
        return b"\x01\x00\x00\xff\xff\xff\x00\x00\x01", [1, -1, 65536]
    if form == "32":
        return (5).to_bytes(4, "little") + (-6).to_bytes(4, "little", signed=True), [5, -6]
    if form == "61":
        return b"\x01\x00\xff\xff", [256, -1]
    if form == "80":
        return bytes([128, 0x81, 127]), [0, 1, -1]
    if form == "160":
        return b"\x00\x80\x01\x80\xff\x7f", [0, 1, -1]
    if form == "212":
        return bytes([0x01, 0xF0, 0xFE]), [1, -2]
    if form == "310":  # samples 1, -1 and 3: 3 has its low five bits in the first pair
        first, second = (1 << 1) | (3 << 11), (0x3FF << 1) | (0 << 11)
        return first.to_bytes(2, "little") + second.to_bytes(2, "little"), [1, -1, 3]
    word = 1 | 0x3FF << 10 | 3 << 20
    return word.to_bytes(4, "little"), [1, -1, 3]


@pytest.mark.parametrize("form", ["24", "32", "61", "80", "160", "212", "310", "311"])
def test_every_format_of_wfdb_is_read_as_the_manual_draws_it(form: str) -> None:
    data, samples = packed(form)
    head = f"r 1 250 {len(samples)}\nr.dat {form} 1000/uV 0 0 {samples[0]} {sum(samples)} 0 II\n"
    found = wfdb.read_parts({"r.hea": head.encode(), "r.dat": data})
    counts = found.samples[:, 0].astype(int) / found.leads[0].gain_per_mv * 1e6
    counts -= found.leads[0].baseline / found.leads[0].gain_per_mv * 1e6
    assert np.allclose(counts, samples, atol=2 if max(samples) > 32767 else 0.001)


def test_signals_in_two_files_stand_beside_each_other() -> None:
    head = b"r 2 250 2 10:00:00 01/03/2026\na.dat 16 200 16 0 1 3 0 I\nb.dat 80 200 8 0 1 1 0 II\n"
    parts = {"r.hea": head, "a.dat": b"\1\0\2\0", "b.dat": bytes([129, 128])}
    found = wfdb.read_parts(parts)
    assert found.samples.tolist() == [[1, 1], [2, 0]]
    assert found.begun(UTC) == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_an_atc_file_is_read_with_its_leads_start_and_beats() -> None:
    samples = wave(900, 2)
    notes = (300_000).to_bytes(4, "little") + b"".join(
        (ticks).to_bytes(4, "little") + b"\1\0" for ticks in (1000, 300_000)
    )
    found = of(atc([samples[:, 0], samples[:, 1]], notes=notes))
    assert np.array_equal(found.samples, samples)
    assert [lead.name for lead in found.leads] == ["I", "II"]
    assert found.leads[0].gain_per_mv == 2000
    assert found.started_at == datetime(2026, 3, 1, 8, 30, tzinfo=MOSCOW)
    assert [mark.at for mark in found.marks] == [1, 300]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("coded", [True, False])
def test_scp_ecg_is_read_plain_and_coded_with_any_differences(order: int, *, coded: bool) -> None:
    samples = wave(700, 2) // 4
    found = of(scp(samples, order=order, coded=coded))
    assert np.array_equal(found.samples, samples)
    assert [lead.name for lead in found.leads] == ["I", "II"]
    assert (found.rate_hz, found.leads[0].gain_per_mv) == (500, 200)
    assert found.started_at == datetime(2026, 3, 1, 8, 30, tzinfo=MOSCOW)


def test_a_table_of_codes_in_the_file_is_used() -> None:
    """Codes 0 and 10 of one and two bits, 11 for eight bits more, the first bit lowest."""
    rows = [(1, 1, 1, 0, 0), (2, 2, 1, 5, 1), (2, 10, 1, 0, 3)]
    table = b"\1\0" + len(rows).to_bytes(2, "little")
    for prefix, whole, mode, value, code in rows:
        table += bytes([prefix, whole, mode]) + value.to_bytes(2, "little")
        table += code.to_bytes(4, "little")
    zeros, stream = np.zeros((4, 1), np.int16), bytes([0b0100_1111, 0b1111_1000])
    data = scp(zeros, codes=(1,), order=0, table=table, streams=[stream])
    assert of(data).samples[:, 0].tolist() == [0, 5, 0, -2]


def test_an_annotated_ecg_is_read_without_its_derived_beat() -> None:
    samples = wave(600, 2)
    found = of(aecg(samples))
    assert np.array_equal(found.samples, samples)
    assert [lead.name for lead in found.leads] == ["I", "aVR"]
    assert (found.rate_hz, found.leads[0].gain_per_mv) == (500, 400)
    assert found.started_at == datetime(2026, 3, 1, 8, 30, 0, 250000, tzinfo=MOSCOW)


def test_a_day_without_an_hour_is_no_start() -> None:
    whole = aecg(wave(60, 2))
    day = whole.replace(b'value="20260301083000.250+0300"', b'value="20260301"')
    assert day != whole
    assert of(day).started_at is None


def test_apples_csv_is_read_in_the_language_of_the_telephone() -> None:
    found = of(APPLE.encode())
    assert (found.rate_hz, found.leads[0].name) == (512.4, "I")
    expected = [-0.048673, -0.059681, 0.101, 2.4125]
    assert np.allclose(found.millivolts(0), expected, atol=6e-5)
    assert found.started_at == datetime(2026, 3, 1, 8, 30, tzinfo=MOSCOW)
    english = "Recorded Date,2026-03-01 08:30:00 +0300\nSample Rate,512 hertz\n\nUnit,µV\n\n-5.5\n"
    assert of(english.encode()).millivolts(0).tolist() == pytest.approx([-0.0055])


def test_a_dicom_waveform_is_read_with_gain_names_and_start() -> None:
    from dicom_maker import dicom  # noqa: PLC0415 - loads pydicom

    samples = wave(500, 2)
    found = of(dicom(samples))
    assert np.array_equal(found.samples, samples)
    assert [lead.name for lead in found.leads] == ["I", "II"]
    assert found.leads[0].gain_per_mv == pytest.approx(400)
    assert found.started_at == datetime(2026, 3, 1, 8, 30, 0, 250000, tzinfo=MOSCOW)
    for data, code in (
        (dicom(samples, syntax="1.2.840.10008.1.2.1.99"), Fault.NOT_READ),
        (dicom(samples, unit="mm[Hg]"), Fault.NO_ECG),
        (dicom(samples, said=501), Fault.TRUNCATED),
        (dicom(samples, said=4_000_000_000), Fault.TOO_LARGE),
        (dicom(samples)[:900], Fault.TRUNCATED),
        (dicom(samples)[:200], Fault.NO_ECG),
    ):
        with pytest.raises(BadFile) as bad:
            of(data)
        assert bad.value.code is code


def test_numbers_too_wide_for_sixteen_bits_become_coarser_and_keep_their_volts() -> None:
    lead, counts = from_counts("I", np.array([100_000, 164_000, 120_000]), 1000.0)
    mv = (counts.astype(float) - lead.baseline) / lead.gain_per_mv
    assert np.allclose(mv, [100.0, 164.0, 120.0], atol=0.01)


def test_what_no_sensor_gives_is_refused() -> None:
    with pytest.raises(BadFile) as bad:
        from_millivolts("I", np.array([1e6]))
    assert bad.value.code is Fault.INCONSISTENT
    with pytest.raises(BadFile):
        EcgRecording(360, (Lead("I", 0.0, 0),), np.zeros((5, 1), np.int16))
    with pytest.raises(BadFile):
        EcgRecording(0, (Lead("I", 200.0, 0),), np.zeros((5, 1), np.int16))


def zipped(parts: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return made.getvalue()


HEAD = b"r 1 250 4\nr.dat 16 200 16 0 0 0 0 I\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Fault.EMPTY),
        (b"%PDF-1.7", Fault.UNKNOWN_FORMAT),
        (zipped({"readme.txt": b"x"}), Fault.UNKNOWN_FORMAT),
        (zipped({"r.hea": HEAD}), Fault.TRUNCATED),
        (zipped({"r.hea": HEAD, "r.dat": bytes(7)}), Fault.TRUNCATED),
        (zipped({"r.hea": HEAD, "r.dat": b"\1" + bytes(7)}), Fault.DAMAGED),
        (zipped({"r.hea": b"r 1 250 4000000000\nr.dat 16\n", "r.dat": b""}), Fault.TOO_LARGE),
        (zipped({"r.hea": b"r 1 0 4\nr.dat 16\n", "r.dat": bytes(8)}), Fault.INCONSISTENT),
        (zipped({"r.hea": HEAD.replace(b"16 200", b"8 200"), "r.dat": bytes(8)}), Fault.NOT_READ),
        (zipped({"r.hea": HEAD, "r.dat": bytes(70 << 20)}), Fault.TOO_LARGE),
        (zipped({"r.hea": HEAD, "r.dat": bytes(8)})[:-30], Fault.DAMAGED),
        (edf.write(recording())[:-1], Fault.TRUNCATED),
        (edf.write(recording()) + b"\0", Fault.INCONSISTENT),
        (edf.write(recording()).replace(b"EDF+C", b"EDF+D"), Fault.NOT_READ),
        (edf.write(recording()).replace(b"ECG ", b"EEG ").replace(b" II", b"Fpz"), Fault.NO_ECG),
        (edf.write(recording())[:200], Fault.TRUNCATED),
        (atc([wave(50, 1)[:, 0]])[:-1], Fault.TRUNCATED),
        (atc([wave(50, 1)[:, 0]]).replace(b"2026-03", b"2026-04"), Fault.DAMAGED),
        (atc([wave(50, 1)[:, 0]], date="yesterday"), Fault.DAMAGED),
        (atc([]), Fault.NO_ECG),
        (scp(wave(50, 2) // 9)[:-1], Fault.TRUNCATED),
        (scp(wave(50, 2) // 9)[:-1] + b"\7", Fault.DAMAGED),
        (scp(wave(50, 2) // 9, flags=5), Fault.NOT_READ),
        (scp(wave(50, 2) // 9, bimodal=1), Fault.NOT_READ),
        (aecg(wave(50, 2))[:-40], Fault.TRUNCATED),
        (aecg(wave(50, 2)).replace(b"<digits>", b"<digits>x "), Fault.DAMAGED),
        (aecg(wave(50, 2)).replace(b'0.002"', b'-1"'), Fault.INCONSISTENT),
        (aecg(wave(50, 2), before='<!DOCTYPE a [<!ENTITY b "c">]>'), Fault.NOT_READ),
        (b"<AnnotatedECG>" + b"<a>" * 300, Fault.TOO_LARGE),
        (b'<AnnotatedECG a="' + b"x" * (3 << 20), Fault.TOO_LARGE),
        (APPLE.replace("101", "one").encode(), Fault.DAMAGED),
        (APPLE[: APPLE.index("-48")].encode(), Fault.TRUNCATED),
        (APPLE.replace("2412,5", "9912345,5").encode(), Fault.INCONSISTENT),
    ],
)
def test_a_truncated_empty_lying_or_huge_file_has_a_clear_code(data: bytes, code: Fault) -> None:
    with pytest.raises(BadFile) as bad:
        of(data)
    assert bad.value.code is code
