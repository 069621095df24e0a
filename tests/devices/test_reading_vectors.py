"""Known payloads as readings: the page's decoders are held to the same file, number by number.

A reading heard by the page and by the gateway must be one reading to the server.
"""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devices.gatt.models import find
from devices.gatt.to_measurement import Refusal, measurements
from devices.measurement import Measurement
from devices.racp import Event, Racp, Write

ROWS: list[dict[str, Any]] = msgspec.json.decode(
    (Path(__file__).parent / "vectors" / "readings.json").read_bytes()
)
HOME = timezone(timedelta(hours=3))
CAME_AT = datetime(2026, 3, 10, 12, tzinfo=HOME)


@pytest.mark.parametrize("row", ROWS, ids=[f"{r['characteristic']} {r['name']}" for r in ROWS])
def test_a_payload_gives_the_same_readings_here_and_in_the_page(row: dict[str, Any]) -> None:
    told = measurements(
        int(row["characteristic"], 16),
        bytes.fromhex(row["hex"]),
        find(row.get("model", "")),
        HOME,
        CAME_AT,
        {int(name, 16): bytes.fromhex(data) for name, data in row.get("read", {}).items()},
        user=row.get("user"),
    )
    assert len(told) == len(row["expect"])
    for found, expected in zip(told, row["expect"], strict=True):
        if "refused" in expected:
            assert isinstance(found, Refusal)
            assert (found.reason, found.sequence) == (expected["refused"], expected.get("sequence"))
        else:
            assert found == msgspec.convert(expected, Measurement)


DIALOGUES: list[dict[str, Any]] = msgspec.json.decode(
    (Path(__file__).parent / "vectors" / "racp_dialogues.json").read_bytes()
)


def _told(event: Event) -> dict[str, Any]:
    if isinstance(event, Write):
        return {"is": "write", "data": event.data.hex(" ").upper()}
    return {"is": type(event).__name__.lower(), **msgspec.to_builtins(event)}


@pytest.mark.parametrize("row", DIALOGUES, ids=[row["name"] for row in DIALOGUES])
def test_a_download_goes_the_same_way_here_and_in_the_page(row: dict[str, Any]) -> None:
    racp = Racp(row["last"], first=row.get("first"))
    for call, given, expected, resume_from in row["steps"]:
        match call:
            case "start":
                assert racp.start().hex(" ").upper() == expected
            case "measurement":
                assert [_told(event) for event in racp.on_measurement(given)] == expected
            case "indication":
                events = racp.on_indication(bytes.fromhex(given))
                assert [_told(event) for event in events] == expected
            case "stored":
                racp.stored(given)
            case _:
                racp.on_cut()
        assert racp.resume_from == resume_from
