"""Readings of a FHIR bundle: each entry gives a reading or says why not, in order.

What is no observation (patients, practitioners) is passed over and counted, not refused.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from devices.fhir.observations import BadObservation, measurement, place_of
from devices.fhir.structs import Bundle, Entry, Observation
from devices.measurement import Measurement

MOST_BYTES: Final = 64 * 1024 * 1024


class ReadEntry(msgspec.Struct, frozen=True):
    """One observation of a bundle: its number, and the reading or what speaks against it."""

    at: int
    found: Measurement | None
    code: str = ""
    where: str = ""


class ReadBundle(msgspec.Struct, frozen=True):
    """All observations of a bundle; `other` entries were of other kinds."""

    entries: tuple[ReadEntry, ...]
    other: int


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    resource_type: str


_BUNDLES: Final = msgspec.json.Decoder(Bundle)
_KINDS: Final = msgspec.json.Decoder(_Kind)
_OBSERVATIONS: Final = msgspec.json.Decoder(Observation)


def read_bundle(data: bytes) -> ReadBundle:
    """Readings of a bundle, or of a lone observation; raises BadObservation when it is neither."""
    if len(data) > MOST_BYTES:
        raise BadObservation("too_large", "$")
    try:
        kind = _KINDS.decode(data).resource_type
        if kind == "Observation":
            return ReadBundle((_entry(0, data),), 0)
        if kind != "Bundle":
            raise BadObservation("not_a_bundle", "resourceType")
        entries = _BUNDLES.decode(data).entry
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadObservation("not_fhir", "$") from error
    read, other = [], 0
    for at, entry in enumerate(entries):
        raw = bytes(entry.resource)
        if _is_observation(raw):
            read.append(_entry(at, raw))
        else:
            other += 1
    return ReadBundle(tuple(read), other)


def bundle(observations: Sequence[Observation]) -> bytes:
    """Observations as a collection, as JSON."""
    encode = msgspec.json.encode
    entries = tuple(
        Entry(
            full_url=None if one.id is None else f"urn:uuid:{one.id}",
            resource=msgspec.Raw(encode(one)),
        )
        for one in observations
    )
    return encode(Bundle(type="collection", entry=entries))


def _is_observation(raw: bytes) -> bool:
    if not raw:
        return False
    try:
        return _KINDS.decode(raw).resource_type == "Observation"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True  # refused as an observation: damage is told, not passed over


def _entry(at: int, raw: bytes) -> ReadEntry:
    try:
        return ReadEntry(at, measurement(_OBSERVATIONS.decode(raw)))
    except BadObservation as bad:
        return ReadEntry(at, None, bad.code, bad.where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return ReadEntry(at, None, "not_fhir", place_of(error))
