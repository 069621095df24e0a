"""Readings against a real HTTP server: sent until acknowledged, one bad one does not stop the rest."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from device_peer import desk

from devices.measurement import Kind, Measurement, check
from devices.reading_sender import ReadingSender, at, from_csv, generated
from devices.recorder import DeviceRefused

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)

pytestmark = pytest.mark.timeout(30)


def pressure(sequence: int, systolic: float = 128) -> Measurement:
    values = {"systolic": systolic, "diastolic": 82.0}
    return Measurement(
        kind=Kind.BLOOD_PRESSURE, sequence=sequence, taken_at=NOW, unit="mmHg", values=values
    )


async def test_a_reading_goes_as_documented_with_the_devices_token() -> None:
    with desk() as peer:
        sender = ReadingSender(peer.url, "token-1")
        sender.queue(pressure(4))
        await sender.flush()
        await sender.aclose()
    assert peer.tokens == ["Bearer token-1"]
    assert peer.bodies == [
        {
            "path": "/api/v1/readings",
            "readings": [
                {
                    "kind": "blood_pressure",
                    "sequence": 4,
                    "taken_at": "2026-03-10T08:00:00Z",
                    "values": {"systolic": 128.0, "diastolic": 82.0},
                    "unit": "mmHg",
                    "flags": [],
                }
            ],
        }
    ]
    assert sender.stored == [4]


@pytest.mark.parametrize(
    "trouble", [None, (503, {"code": "stores_away"}), (500, {}), (429, {"code": "busy"})]
)
async def test_a_reading_without_an_answer_is_sent_again(
    trouble: tuple[int, dict[str, str]] | None,
) -> None:
    with desk() as peer:
        peer.answers = [trouble]
        sender = ReadingSender(peer.url, "t")
        sender.queue(pressure(1))
        await sender.flush()
        await sender.aclose()
    assert [body["readings"][0]["sequence"] for body in peer.bodies] == [1, 1]
    assert sender.stored == [1]


async def test_a_refused_reading_is_set_aside_and_the_others_are_stored() -> None:
    with desk() as peer:
        peer.refuse_values_above = 200
        sender = ReadingSender(peer.url, "t")
        sender.queue(pressure(1), pressure(2, systolic=290), pressure(3))
        await sender.flush()
        await sender.aclose()
    assert sender.stored == [1, 3]
    assert [(one.sequence, problem["code"]) for one, problem in sender.refused] == [
        (2, "bad_measurement")
    ]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "malformed_body"), (409, "sequence_reused"), (413, "too_large")]
)
async def test_a_reading_the_server_will_never_take_is_set_aside(status: int, code: str) -> None:
    """Whatever it says against it; the ones behind it are stored."""
    with desk() as peer:
        peer.answers = [(status, {"code": code}), (201, {}), (status, {"code": code})]
        sender = ReadingSender(peer.url, "t")
        sender.queue(pressure(1), pressure(2), pressure(3))
        await sender.flush()
        await sender.aclose()
    assert sender.stored == [1, 3]
    assert [(one.sequence, problem["code"]) for one, problem in sender.refused] == [(2, code)]


async def test_a_revoked_token_ends_the_attempts() -> None:
    with desk() as peer:
        peer.answers = [(401, {"code": "not_signed_in"})]
        sender = ReadingSender(peer.url, "t")
        sender.queue(pressure(1))
        with pytest.raises(DeviceRefused, match="not_signed_in"):
            await sender.flush()
        await sender.aclose()


@pytest.mark.parametrize("kind", Kind)
def test_generated_readings_are_believable_and_the_same_for_one_seed(kind: Kind) -> None:
    readings = list(islice(generated(kind, 5, 100), 50))
    assert readings == list(islice(generated(kind, 5, 100), 50))
    assert readings != list(islice(generated(kind, 6, 100), 50))
    assert [reading.sequence for reading in readings] == list(range(100, 150))
    assert {check(at(reading, NOW), NOW).flags for reading in readings} == {()}


def test_a_table_of_readings_is_played_row_by_row(tmp_path: Path) -> None:
    table = tmp_path / "readings.csv"
    table.write_text(
        "kind,unit,systolic,diastolic,pulse,glucose\n"
        ",,131,84,70,\n"
        "blood_pressure,kPa,17.5,11.2,,\n"
        "glucose,mg/dL,,,,101\n"
    )
    rows = [(r.kind.value, r.sequence, r.unit, r.values) for r in from_csv(table, 10)]
    assert rows == [
        ("blood_pressure", 10, "mmHg", {"systolic": 131.0, "diastolic": 84.0, "pulse": 70.0}),
        ("blood_pressure", 11, "kPa", {"systolic": 17.5, "diastolic": 11.2}),
        ("glucose", 12, "mg/dL", {"glucose": 101.0}),
    ]
