"""What the child that reads a file of readings tells, and what it costs others."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devices.reading_files import Options
from storage import limited_child
from storage.ingest import Busy
from telemed import reading_files
from telemed.file_child import MAX_OF_REASON, Asked, look

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    old = "2019-03-01 08:30,66\n" * 300
    file = tmp_path / "table.csv"
    file.write_text(f"timestamp,heart rate\n{old}2026-03-01 08:30,x\n2026-03-01 08:31,66\n")
    return file


def test_years_that_are_too_old_hide_no_other_reason(table: Path) -> None:
    found = look(table, Asked(Options(), None, NOW))
    codes = [row.code for row in found.refused]
    assert (found.refused_total, len(found.readings)) == (301, 1)
    assert codes == ["too_old"] * MAX_OF_REASON + ["number_unreadable"]


async def test_a_file_of_readings_waits_for_no_picture(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    pictures = limited_child.places_of("storage.file_checks.child")
    async with asyncio.timeout(30):
        for at in range(int(pictures.total_tokens)):
            pictures.acquire_on_behalf_of_nowait(at)
        try:
            found = await reading_files.look(table, folder, Options(), None, NOW)
        finally:
            for at in range(int(pictures.total_tokens)):
                pictures.release_on_behalf_of(at)
    assert len(found.readings) == 1


async def test_a_house_without_time_says_so_and_blames_no_file(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_files, "WALL_S", 0.0)
    with pytest.raises(Busy):
        await reading_files.look(table, tmp_path, Options(), None, NOW)
