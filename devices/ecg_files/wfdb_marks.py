"""Marks of a WFDB record: annot(5), with their texts; and the heart beats among them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import MAX_MARKS, BadFile, Fault, Mark

_SYMBOLS: Final = dict(
    zip(
        (*range(1, 15), 16, *range(18, 42)),
        'NLRaVFJASEj/Q~|sT*D"=pB^t+u?![]en@xf()r',
        strict=True,
    )
)
_CODES: Final = {symbol: code for code, symbol in _SYMBOLS.items()}
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_BEATS: Final = frozenset("NLRaVFJASEj/QB?enfr")
_FLUTTER_BEGINS, _FLUTTER_ENDS = "[", "]"


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats that somebody marked: sample of the R peak and symbol; `flutter` has none to mark."""

    samples: NDArray[np.int64]
    symbols: tuple[str, ...]
    flutter: tuple[tuple[int, int], ...]


def beats_of(marks: Iterable[Mark]) -> Beats:
    """The beats among the marks; rhythms, noise and comments are left out."""
    beats = []
    flutter = []
    opened: int | None = None
    for mark in marks:
        if mark.symbol in _BEATS:
            beats.append(mark)
        elif mark.symbol == _FLUTTER_BEGINS:
            opened = mark.at
        elif mark.symbol == _FLUTTER_ENDS and opened is not None:
            flutter.append((opened, mark.at))
            opened = None
    return Beats(
        np.array([mark.at for mark in beats], np.int64),
        tuple(mark.symbol for mark in beats),
        tuple(flutter),
    )


def parse(data: bytes) -> tuple[Mark, ...]:
    """Read the marks of a record. Raises BadFile."""
    found = tuple(islice(_marks(data), MAX_MARKS + 1))
    if len(found) > MAX_MARKS:
        raise BadFile(Fault.TOO_LARGE, "atr")
    if any(mark.at < 0 for mark in found):
        raise BadFile(Fault.DAMAGED, "atr")
    return found


def _marks(data: bytes) -> Iterator[Mark]:
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()
    now = at = 0
    held: Mark | None = None
    while at < len(words):
        code, low = words[at] >> 10, words[at] & 0x3FF
        at += 1
        if code == 0 and low == 0:
            if held is not None:
                yield held
            return
        if code == _SKIP:
            if at + 2 > len(words):
                break
            jump = words[at] << 16 | words[at + 1]
            now += jump - (1 << 32) * (jump >> 31)
            at += 2
        elif code == _AUX:
            text = data[2 * at : 2 * at + low].rstrip(b"\0")
            at += (low + 1) // 2
            if held is not None:
                held = Mark(held.at, held.symbol, _text(text))
        elif code not in (_NUM, _SUB, _CHN):
            now += low
            if held is not None:
                yield held
            held = Mark(now, _SYMBOLS.get(code, f"#{code}"))
    raise BadFile(Fault.TRUNCATED, "atr")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def marks_of(marks: tuple[Mark, ...]) -> bytes:
    """Give marks as a file."""
    made = bytearray()
    now = 0
    for mark in sorted(marks, key=lambda mark: mark.at):
        code = _CODES.get(mark.symbol)
        if code is None:
            code = int(mark.symbol[1:]) if re.fullmatch(r"#\d\d?", mark.symbol) else _CODES['"']
        step = mark.at - now
        if step > 0x3FF:  # noqa: PLR2004 - ten bits
            made += (_SKIP << 10).to_bytes(2, "little")
            made += (step >> 16).to_bytes(2, "little") + (step & 0xFFFF).to_bytes(2, "little")
            step = 0
        made += (code << 10 | step).to_bytes(2, "little")
        now = mark.at
        if mark.text:
            text = mark.text.encode()
            made += (_AUX << 10 | len(text)).to_bytes(2, "little") + text + b"\0" * (len(text) % 2)
    return bytes(made + b"\0\0")
