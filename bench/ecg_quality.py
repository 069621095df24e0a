"""What the quality of a stream says under noise (part `quality`)."""

import numpy as np

from bench.ecg_data import mixed, noises, recordings
from bench.ecg_live import header
from bench.harness import Row, at_least
from devices.ecg.quality import Quality
from devices.ecg.stream import EcgStream
from devices.ecg_files import EcgRecording

NOISE_RECORDS = ("100", "106", "118", "209")
NOISY_S = (300, 420)


def judged(record: EcgRecording) -> tuple[float, float]:
    """Shares of the time, after settling, that are not good and that are without a rate."""
    stream = EcgStream(header(record, 0))
    half = round(record.rate_hz / 2)
    vitals = []
    for start in range(0, len(record.samples), half):
        stream.push(record.samples[start : start + half, 0])
        vitals.append(stream.vitals())
    vitals = vitals[12:]
    return (
        sum(v.quality is not Quality.GOOD for v in vitals) / len(vitals),
        sum(v.heart_rate_bpm is None for v in vitals) / len(vitals),
    )


def quality_rows() -> list[Row]:
    sounds = noises()
    if not sounds:
        return [Row("ecg.noise_records", 0, "noise/ of the set is absent: not judged")]
    chosen = [(r, b) for name, r, b in recordings() if name in NOISE_RECORDS]
    rows = [Row("ecg.noise_records", len(chosen), "records")]
    for kind, name in (("ma", "muscle"), ("em0", "motion")):
        noise = sounds[kind][:, 0]
        for ratio_db, bar in ((12, None), (6, None), (0, 80.0)):
            shares = [judged(mixed(r, b, noise, ratio_db, NOISY_S)) for r, b in chosen]
            flagged = 100 * float(np.mean([share[0] for share in shares]))
            silent = 100 * float(np.mean([share[1] for share in shares]))
            rows.append(_share(f"ecg.{name}_{ratio_db}db_flagged", flagged, bar))
            rows.append(Row(f"ecg.{name}_{ratio_db}db_no_rate", silent, "% of time"))
    return rows


def _share(name: str, share: float, bar: float | None) -> Row:
    if bar is None:
        return Row(name, share, "% of time")
    return at_least(name, share, "% of time", bar=bar)
