"""The exit code of a benchmark: what it promises and does not reach fails the run."""

import io
import json
from pathlib import Path

import pytest

from bench import harness
from bench.harness import Row, at_least, at_most, keeps_up, percentile, report


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(harness, "OUT", tmp_path)
    return tmp_path


def test_rows_are_printed_and_written_alike(out: Path) -> None:
    page = io.StringIO()
    rows = [at_least("a.rate", 12_345.0, "rows/s", bar=2.5, peer=3.0), Row("b", 1.0, "ms")]
    assert report("storage", rows, page) == 0
    written = json.loads((out / "storage.json").read_text())
    assert [row["id"] for row in written] == ["a.rate", "b"]
    assert written[0] == {
        "id": "a.rate",
        "figure": 12_345.0,
        "unit": "rows/s",
        "peer": 3.0,
        "bar": ">= 2.5",
        "holds": True,
    }
    assert page.getvalue().splitlines()[1].split() == [
        "a.rate",
        "12,345",
        "rows/s",
        "3",
        ">=",
        "2.5",
        "yes",
    ]


def test_a_bar_that_does_not_hold_fails_the_run() -> None:
    assert report("x", [at_least("a", 1.0, "x", bar=2.0)], io.StringIO()) == 1
    assert report("x", [at_most("a", 3.0, "x", bar=2.0)], io.StringIO()) == 1
    assert report("x", [keeps_up("a", 2.4, "x", peer=1.0, times=2.5)], io.StringIO()) == 1


def test_bars_that_hold_pass_the_run() -> None:
    rows = [
        at_least("a", 2.0, "x", bar=2.0),
        at_most("b", 2.0, "x", bar=2.0),
        keeps_up("c", 2.5, "x", peer=1.0, times=2.5),
    ]
    assert report("x", rows, io.StringIO()) == 0


def test_a_bar_without_a_verdict_fails_the_run() -> None:
    assert report("x", [Row("a", 1.0, "x", bar=2.0)], io.StringIO()) == 1


def test_a_run_that_measured_nothing_fails() -> None:
    assert report("x", [], io.StringIO()) == 1


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.95) == 4.0
