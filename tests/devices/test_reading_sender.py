"""Readings against a real HTTP server: sent until acknowledged, one bad one does not stop the rest."""

import asyncio
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from device_peer import desk

from devices.measurement import Kind, Measurement, check
from devices.reading_sender import ReadingSender, at, from_csv, generated
from devices.refused import DeviceRefused

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
        taken = {"results": [{"sequence": 1}]}
        peer.answers = [(status, {"code": code}), (201, taken), (status, {"code": code})]
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


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html>Please sign in to the hotel's network</html>"),
        (200, {"results": []}),
        (200, {"results": [{"sequence": 2}]}),
        (302, ""),
        (404, "<html>Not found</html>"),
        (403, {"message": "blocked"}),
        (403, gzip.compress('{"code": "доступ запрещён"}'.encode("cp1251"))),
        (403, '{"code": ' + "[" * 100_000),
        (200, '{"results": [{"sequence": 1, "more": ' + "[" * 100_000),
        (200, b"said to be gzip"),
        (200, gzip.compress(b'{"results": [{"sequence": 1}]}' + b" " * (1 << 21))),
    ],
)
async def test_what_is_not_our_servers_word_stores_and_refuses_nothing(
    answer: tuple[int, dict[str, object] | str | bytes],
) -> None:
    """A reading counts as stored only when the answer names it."""
    with desk() as peer:
        peer.answers = [answer]
        sender = ReadingSender(peer.url, "t")
        sender.queue(pressure(1))
        await sender.flush()
        await sender.aclose()
    assert len(peer.bodies) == 2
    assert (sender.stored, sender.refused) == ([1], [])


async def test_the_bad_one_of_many_is_sought_by_halves() -> None:
    with desk() as peer:
        peer.refuse_values_above = 200
        sender = ReadingSender(peer.url, "t")
        sender.queue(*(pressure(n, systolic=290 if n == 300 else 120) for n in range(500)))
        await sender.flush()
        await sender.aclose()
    assert [one.sequence for one, _ in sender.refused] == [300]
    assert sender.stored == [n for n in range(500) if n != 300]
    assert len(peer.bodies) < 40


class Written:
    """A watch that writes down every word."""

    def __init__(self) -> None:
        self.words: list[tuple[str, list[int]]] = []

    def sent(self, readings: Sequence[Measurement]) -> None:
        self.words.append(("sent", [one.sequence for one in readings]))

    def unsent(self, readings: Sequence[Measurement]) -> None:
        self.words.append(("unsent", [one.sequence for one in readings]))

    def stored(self, readings: Sequence[Measurement]) -> None:
        self.words.append(("stored", [one.sequence for one in readings]))

    def refused(self, reading: Measurement, problem: dict[str, object]) -> None:
        self.words.append((f"refused {problem['code']}", [reading.sequence]))


@pytest.mark.parametrize(
    ("trouble", "between"),
    [
        (None, []),  # cut in the middle: it may be stored
        ((503, {"code": "stores_away"}), []),  # the same: the commit may have gone through
        ((429, {"code": "busy"}), [("unsent", [1])]),
        ((200, "<html>"), [("unsent", [1])]),
    ],
)
async def test_whoever_watches_is_told_no_more_than_is_known(
    trouble: tuple[int, dict[str, object] | str] | None, between: list[tuple[str, list[int]]]
) -> None:
    written = Written()
    with desk() as peer:
        peer.answers = [trouble]
        sender = ReadingSender(peer.url, "t", watch=written)
        sender.queue(pressure(1))
        await sender.flush()
        await sender.aclose()
    assert written.words == [("sent", [1]), *between, ("sent", [1]), ("stored", [1])]
    assert sender.stored == []


async def test_a_server_that_is_not_there_has_been_sent_nothing() -> None:
    written = Written()
    with desk() as peer:
        url = peer.url
    sender = ReadingSender(url, "t", watch=written)
    sender.queue(pressure(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sender.flush()
    await sender.aclose()
    assert written.words == [("sent", [1]), ("unsent", [1])]


async def test_the_server_says_when_to_come_again() -> None:
    loop = asyncio.get_running_loop()
    with desk() as peer:
        peer.answers = [(429, {"code": "busy"})]
        peer.retry_after = "1"
        sender = ReadingSender(peer.url, "t", longest_wait_s=0.5)
        sender.queue(pressure(1))
        began = loop.time()
        await sender.flush()
        await sender.aclose()
    assert 0.4 <= loop.time() - began < 5  # as asked, but never longer than its own limit


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
