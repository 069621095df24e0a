"""Samples of a WFDB signal file: signal(5). What the header promises of them is checked."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import MAX_SAMPLES, MISSING, BadFile, Fault, Lead, from_counts

# Format → the number that stands for a missing sample.
NONE: Final = {
    16: -(1 << 15),
    24: -(1 << 23),
    32: -(1 << 31),
    61: -(1 << 15),
    80: -128,
    160: -(1 << 15),
    212: -2048,
    310: -512,
    311: -512,
}
# Samples and bytes of the smallest whole piece; two bytes a sample elsewhere.
_PIECES: Final = {212: (2, 3), 310: (3, 4), 311: (3, 4), 24: (1, 3), 32: (1, 4), 80: (1, 1)}
_Counts = NDArray[np.int16] | NDArray[np.int32]


def unpack(form: int, body: bytes, count: int, leads: int) -> _Counts:
    """`count` samples of `leads` interleaved signals; all there are when the header says none."""
    per, size = _PIECES.get(form, (1, 2))
    wanted = count * leads or len(body) * per // size // leads * leads
    if wanted == 0:
        raise BadFile(Fault.EMPTY, "dat")
    if wanted > MAX_SAMPLES:
        raise BadFile(Fault.TOO_LARGE, "dat")
    # The last piece may be cut where its samples end.
    needed = -(-wanted * size // per)
    if form == 310 and wanted % 3 == 2:  # noqa: PLR2004 - the second of three ends in the last byte
        needed += 1
    if len(body) < needed:
        raise BadFile(Fault.TRUNCATED, "dat")
    whole = -(-wanted // per) * size
    raw = np.frombuffer(body[:whole].ljust(whole, b"\0"), np.uint8)
    return _samples(form, raw)[:wanted].reshape(-1, leads)


def _samples(form: int, raw: NDArray[np.uint8]) -> _Counts:  # noqa: PLR0911 - a format a line
    """Samples as the file has them, in 16 bits wherever the format has no more."""
    if form == 16:  # noqa: PLR2004 - names of formats
        return raw.view("<i2")
    if form == 61:  # noqa: PLR2004
        return raw.view(">i2").astype(np.int16)
    if form == 160:  # noqa: PLR2004
        return (raw.view("<u2") ^ 0x8000).view("<i2")
    if form == 80:  # noqa: PLR2004
        return raw.astype(np.int16) - np.int16(128)
    if form == 32:  # noqa: PLR2004
        return raw.view("<i4")
    if form == 24:  # noqa: PLR2004
        bytes_ = raw.reshape(-1, 3).astype(np.int32)
        return _signed(bytes_[:, 0] | bytes_[:, 1] << 8 | bytes_[:, 2] << 16, 24)
    if form == 212:  # noqa: PLR2004
        low, mid, high = raw.reshape(-1, 3).astype(np.int16).T
        pairs = np.empty((len(low), 2), np.int16)
        pairs[:, 0] = low | (mid & 0x0F) << 8
        pairs[:, 1] = high | (mid & 0xF0) << 4
        return _signed(pairs.reshape(-1), 12)
    words = raw.view("<u4")
    if form == 311:  # noqa: PLR2004
        three = np.column_stack((words & 0x3FF, words >> 10 & 0x3FF, words >> 20 & 0x3FF))
    else:
        low, high = words & 0xFFFF, words >> 16
        third = (low >> 11) | (high >> 11) << 5
        three = np.column_stack((low >> 1 & 0x3FF, high >> 1 & 0x3FF, third))
    return _signed(three.reshape(-1).astype(np.int16), 10)


def _signed(values: _Counts, bits: int) -> _Counts:
    half = values.dtype.type(1 << bits - 1)
    return (values ^ half) - half


def verify(column: _Counts, first: int | None, checksum: int | None) -> None:
    """Hold a signal against its header. Raises BadFile."""
    if first is not None and int(column[0]) != first:
        raise BadFile(Fault.DAMAGED, "first sample")
    if checksum is not None and (int(column.sum(dtype=np.int64)) - checksum) % 65536:
        raise BadFile(Fault.DAMAGED, "checksum")


def fitted(column: _Counts, form: int, lead: Lead) -> tuple[Lead, NDArray[np.int16]]:
    """One lead as a recording holds it."""
    gone = column == NONE[form]
    if column.dtype == np.int16:
        return lead, np.where(gone, np.int16(MISSING), column)
    if gone.all():
        return lead, np.full(len(column), MISSING, np.int16)
    there = np.where(gone, column[~gone][0], column)
    lead, samples = from_counts(lead.name, there, lead.gain_per_mv, lead.baseline)
    samples[gone] = MISSING
    return lead, samples
