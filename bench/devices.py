"""Devices: beats against annotations, delay, cost, noise, frames, FHIR (`python -m bench.devices`).

`python -m bench.devices PART…` measures these parts alone. Recordings: see bench/ecg_data.py.
"""

import sys
from collections.abc import Callable, Sequence

from bench.device_files import rows as file_rows
from bench.ecg_beats import beats_rows
from bench.ecg_live import live_rows
from bench.ecg_quality import quality_rows
from bench.ecg_rhythm import rhythm_rows
from bench.ecg_trust import trust_rows
from bench.ecg_ws import ws_rows
from bench.fhir import fhir_rows
from bench.frames import frame_rows
from bench.gatt import gatt_rows
from bench.harness import Row, report

PARTS: dict[str, Callable[[], list[Row]]] = {
    "beats": beats_rows,
    "live": live_rows,
    "quality": quality_rows,
    "rhythm": rhythm_rows,
    "trust": trust_rows,
    "ws": ws_rows,
    "frames": frame_rows,
    "gatt": gatt_rows,
    "fhir": fhir_rows,
    "files": file_rows,
}


def main(chosen: Sequence[str]) -> int:
    """Measure; 1 when a promise does not hold."""
    rows = [row for part in chosen or PARTS for row in PARTS[part]()]
    return report("-".join(("devices", *chosen)), rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
