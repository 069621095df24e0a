"""FHIR against fhir.resources, same run: JSON to typed observation and back, and all we write.

Both sides do the same: bytes to checked objects (decode), objects to bytes (encode). The rows
`..._reading` go on to the reading itself, which the library has no word for. Every output of every
kind is read by the library; one it refuses fails the run.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from fhir.resources.R4B.observation import Observation as Theirs
from pydantic import ValidationError

from bench.harness import Row, at_least, at_most, report
from devices.fhir.observations import decode, encode, measurement, observation
from devices.fhir.structs import Reference
from devices.kinds import Kind
from devices.measurement import Measurement
from devices.reading_sender import at, generated

PATIENT = Reference(reference="Patient/2f6e4a7c")
TAKEN_AT = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
EACH = 50
TIMES = 50.0


def seconds(work: Callable[[], object], count: int) -> float:
    """Of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(count):
            work()
        best = min(best, time.perf_counter() - started)
    return best / count


def pressures() -> Measurement:
    return at(next(generated(Kind.BLOOD_PRESSURE, 1, 7)), TAKEN_AT)


def ratio(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> list[Row]:
    own, peer = seconds(ours, 20_000), seconds(theirs, 300)
    return [
        Row(f"{name}_us", own * 1e6, "us", peer=peer * 1e6),
        at_least(name, peer / own, "x", bar=TIMES, peer=1.0),
    ]


def refused() -> int:
    """How many of our observations, of every kind, the library does not take."""
    count = 0
    for kind in Kind:
        for _, reading in zip(range(EACH), generated(kind, 1, 1), strict=False):
            written = encode(observation(at(reading, TAKEN_AT), subject=PATIENT))
            try:
                Theirs.model_validate_json(written)
            except ValidationError:
                count += 1
    return count


def fhir_rows() -> list[Row]:
    reading = pressures()
    ours = observation(reading, subject=PATIENT)
    data = encode(ours)
    theirs = Theirs.model_validate_json(data)
    return [
        *ratio("fhir.encode", lambda: encode(ours), theirs.model_dump_json),
        *ratio("fhir.decode", lambda: decode(data), lambda: Theirs.model_validate_json(data)),
        Row(
            "fhir.encode_reading_us",
            seconds(lambda: encode(observation(reading, subject=PATIENT)), 20_000) * 1e6,
            "us",
        ),
        Row(
            "fhir.decode_reading_us", seconds(lambda: measurement(decode(data)), 20_000) * 1e6, "us"
        ),
        at_most("fhir.refused", refused(), f"of {EACH * len(Kind)}", bar=0),
    ]


if __name__ == "__main__":
    sys.exit(report("fhir", fhir_rows()))
