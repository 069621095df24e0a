"""Reader of WFDB recordings: `.hea` header, `.dat` signals (formats 212 and 16), `.atr` beats.

Layouts: the WFDB manual pages header(5), signal(5), annot(5). What a header promises is checked:
length, first values, 16-bit checksums. A truncated or damaged file is refused, never replayed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.frames import MISSING

# annot(5): code of the annotation types that are heart beats.
_BEATS = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 30, 34, 35, 38, 41),
        "NLRaVFJASEj/QB?enfr",
        strict=True,
    )
)
_FLUTTER_START, _FLUTTER_END = 32, 33
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_MISSING_212 = -2048
_GAIN = re.compile(r"(?P<gain>[\d.eE+-]+)(\((?P<baseline>-?\d+)\))?(/(?P<unit>\S+))?")
_FORMAT = re.compile(r"(?P<format>\d+)(x(?P<per_frame>\d+))?(:(?P<skew>\d+))?(\+(?P<offset>\d+))?")
_DEFAULT_GAIN = 200.0


class BadRecord(ValueError):  # noqa: N818 - a refusal, named as the fact it states
    """A recording that cannot be read as its header says; the message names file and fault."""


@dataclass(frozen=True, slots=True)
class Lead:
    """One signal of a recording: mV = (adc - baseline) / gain_per_mv."""

    name: str
    gain_per_mv: float
    baseline: int


@dataclass(frozen=True, slots=True)
class Record:
    """A recording: `samples[i, lead]` in ADC units, MISSING where the recorder had none."""

    name: str
    rate_hz: float
    leads: tuple[Lead, ...]
    samples: NDArray[np.int16]

    def lead(self, name: str) -> int:
        """Column of the lead with this name; the first when the record has none of it."""
        return next((i for i, lead in enumerate(self.leads) if lead.name == name), 0)


@dataclass(frozen=True, slots=True)
class Beats:
    """Annotated beats: sample of the R peak and symbol; `flutter` are stretches without beats."""

    samples: NDArray[np.int64]
    symbols: tuple[str, ...]
    flutter: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Signal:
    file: str
    format: int
    offset: int
    lead: Lead
    first: int | None
    checksum: int | None


def read_record(header: Path) -> Record:
    """The recording whose header is `header` (with or without `.hea`); BadRecord if damaged."""
    header = header.with_suffix(".hea")
    name, rate_hz, count, signals = _read_header(header)
    if len({(s.file, s.format, s.offset) for s in signals}) != 1:
        raise BadRecord(f"{header.name}: signals in several files or formats")
    data = (header.parent / signals[0].file).read_bytes()[signals[0].offset :]
    flat = _unpack(signals[0].format, data, count * len(signals), signals[0].file)
    samples = flat.reshape(-1, len(signals))
    for column, signal in enumerate(signals):
        _verify(samples[:, column], signal, signals[0].file)
    if signals[0].format == 212:  # noqa: PLR2004 - name of the format
        samples = np.where(samples == _MISSING_212, np.int16(MISSING), samples)
    samples.setflags(write=False)
    return Record(name, rate_hz, tuple(signal.lead for signal in signals), samples)


def _read_header(path: Path) -> tuple[str, float, int, list[_Signal]]:
    lines = [
        line.split()
        for line in path.read_text("latin-1").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    try:
        name, signal_count, rate, count, *_ = lines[0]
        if "/" in name:
            raise BadRecord(f"{path.name}: multi-segment records are not read")
        signals = [_signal(line) for line in lines[1 : 1 + int(signal_count)]]
        rate_hz = float(rate.partition("/")[0].partition("(")[0])
        total = int(count)
    except (ValueError, IndexError, AttributeError) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(f"{path.name}: not a header this reader knows") from error
    if not signals or len(signals) != int(signal_count) or total <= 0 or rate_hz <= 0:
        raise BadRecord(f"{path.name}: header without signals, length or rate")
    return name, rate_hz, total, signals


def _signal(words: list[str]) -> _Signal:
    file, form, *rest = words
    match = _FORMAT.fullmatch(form)
    if match is None or int(match["per_frame"] or 1) != 1 or int(match["skew"] or 0) != 0:
        raise BadRecord(f"{file}: format {form} is not read")
    if Path(file).name != file:
        raise BadRecord(f"{file}: signal file outside the record's folder")
    gain, _resolution, zero, first, checksum, _block, *lead = [*rest, *[""] * (6 - len(rest))]
    scale = _GAIN.fullmatch(gain) if gain else None
    gain_per_mv = float(scale["gain"]) if scale else 0.0
    baseline = scale["baseline"] if scale and scale["baseline"] else zero
    return _Signal(
        file,
        int(match["format"]),
        int(match["offset"] or 0),
        Lead(" ".join(lead) or "?", gain_per_mv or _DEFAULT_GAIN, int(baseline or 0)),
        int(first) if first else None,
        int(checksum) if checksum else None,
    )


def _unpack(form: int, data: bytes, count: int, name: str) -> NDArray[np.int16]:
    """`count` interleaved samples of the whole file."""
    if form == 16:  # noqa: PLR2004 - name of the format
        if len(data) < 2 * count:
            raise BadRecord(f"{name}: shorter than its header says")
        return np.frombuffer(data, "<i2", count).astype(np.int16)
    if form != 212:  # noqa: PLR2004 - name of the format
        raise BadRecord(f"{name}: format {form} is not read")
    if len(data) < (3 * count + 1) // 2:
        raise BadRecord(f"{name}: shorter than its header says")
    pairs = (count + 1) // 2
    raw = np.frombuffer(data[: 3 * pairs].ljust(3 * pairs, b"\0"), np.uint8)
    low, mid, high = raw.reshape(-1, 3).astype(np.int16).T
    both = np.empty((pairs, 2), np.int16)
    both[:, 0] = low | ((mid & 0x0F) << 8)
    both[:, 1] = high | ((mid & 0xF0) << 4)
    flat = both.reshape(-1)[:count]
    return np.where(flat > 2047, flat - 4096, flat).astype(np.int16)  # noqa: PLR2004 - 12 bits


def _verify(column: NDArray[np.int16], signal: _Signal, name: str) -> None:
    if signal.first is not None and int(column[0]) != signal.first:
        raise BadRecord(f"{name}: first sample differs from the header")
    if signal.checksum is not None and (int(column.sum(dtype=np.int64)) - signal.checksum) % 65536:
        raise BadRecord(f"{name}: checksum differs from the header")


def read_beats(path: Path) -> Beats:
    """Annotated beats of a `.atr` file; other marks (rhythm, noise, comments) are left out."""
    path = path.with_suffix(".atr")
    data = path.read_bytes()
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()
    samples: list[int] = []
    symbols: list[str] = []
    flutter: list[tuple[int, int]] = []
    now = at = 0
    opened: int | None = None
    while at < len(words):
        code, low = words[at] >> 10, words[at] & 0x3FF
        at += 1
        if code == 0 and low == 0:
            return Beats(np.array(samples, np.int64), tuple(symbols), tuple(flutter))
        if code == _SKIP:
            if at + 2 > len(words):
                break
            jump = words[at] << 16 | words[at + 1]
            now += jump - (1 << 32) * (jump >> 31)
            at += 2
        elif code == _AUX:
            at += (low + 1) // 2
        elif code not in (_NUM, _SUB, _CHN):
            now += low
            if code in _BEATS:
                samples.append(now)
                symbols.append(_BEATS[code])
            elif code == _FLUTTER_START:
                opened = now
            elif code == _FLUTTER_END and opened is not None:
                flutter.append((opened, now))
                opened = None
    raise BadRecord(f"{path.name}: ends in the middle of an annotation")
