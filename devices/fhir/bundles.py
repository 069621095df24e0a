"""Readings of a FHIR bundle: each entry gives a reading or says why not, in order.

What is no observation (patients, practitioners) is passed over and counted, not refused. A bundle
about several people gives none: nobody can tell here which of them is the reader.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from devices.fhir.observations import BadObservation, measurement, place_of
from devices.fhir.structs import Bundle, Entry, Observation, Page, PageLink, Reference
from devices.measurement import Measurement

MOST_BYTES: Final = 64 * 1024 * 1024


class ReadEntry(msgspec.Struct, frozen=True):
    """One observation of a bundle: its number, and the reading or what speaks against it."""

    at: int
    found: Measurement | None
    code: str = ""
    where: str = ""
    subject: str = ""


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
    if len({one.subject for one in read if one.found is not None and one.subject}) > 1:
        read = [_of_several(one) for one in read]
    return ReadBundle(tuple(read), other)


def _of_several(one: ReadEntry) -> ReadEntry:
    return one if one.found is None else ReadEntry(one.at, None, "several_people", "subject")


def bundle(observations: Sequence[Observation]) -> bytes:
    """Observations as a collection, as JSON."""
    return msgspec.json.encode(Bundle(type="collection", entry=_entries(observations)))


def page(observations: Sequence[Observation], further: str | None) -> bytes:
    """Some of the observations that were searched for, and where there are more, as JSON."""
    link = () if further is None else (PageLink(relation="next", url=further),)
    return msgspec.json.encode(Page(type="searchset", link=link, entry=_entries(observations)))


def _entries(observations: Sequence[Observation]) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            full_url=None if one.id is None else f"urn:uuid:{one.id}",
            resource=msgspec.Raw(msgspec.json.encode(one)),
        )
        for one in observations
    )


def _is_observation(raw: bytes) -> bool:
    if not raw:
        return False
    try:
        return _KINDS.decode(raw).resource_type == "Observation"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True  # refused as an observation: damage is told, not passed over


def _entry(at: int, raw: bytes) -> ReadEntry:
    try:
        found = _OBSERVATIONS.decode(raw)
        return ReadEntry(at, measurement(found), subject=_subject(found.subject))
    except BadObservation as bad:
        return ReadEntry(at, None, bad.code, bad.where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return ReadEntry(at, None, "not_fhir", place_of(error))


def _subject(subject: Reference | None) -> str:
    """Whom it is about, in the sender's words; empty when it does not say."""
    if subject is None:
        return ""
    told = subject.identifier
    by_number = "" if told is None or told.value is None else f"{told.system or ''}|{told.value}"
    return subject.reference or by_number or subject.display or ""
