"""A FHIR R4 bundle, or one observation: as devices/fhir reads them, with numbers of our own.

Numbers of observations are those of many devices, and here all of them come from one file.
"""

from collections.abc import Iterator

import msgspec

from devices.bad_file import BadFile, Fault
from devices.fhir.bundles import read_bundle
from devices.fhir.observations import BadObservation
from devices.reading_files.rows import KIND_UNKNOWN, FileRow, refused, sequence_of


def read(data: bytes) -> Iterator[FileRow]:
    """Give the rows of a bundle. Raises BadFile."""
    try:
        found = read_bundle(data)
    except BadObservation as bad:
        fault = Fault.UNKNOWN_FORMAT if bad.code == "not_a_bundle" else Fault.DAMAGED
        raise BadFile(fault, bad.where) from bad
    if not found.entries:
        raise BadFile(Fault.NO_READINGS)
    for entry in found.entries:
        one = entry.found
        if one is None:
            yield refused(entry.at + 1, entry.code, entry.where)
            continue
        number = sequence_of(one.kind, one.taken_at, one.values, one.unit)
        numbered = msgspec.structs.replace(one, sequence=number)
        yield FileRow(place=entry.at + 1, measurement=numbered)
    if found.other:
        yield refused(0, KIND_UNKNOWN, "resourceType", type="", count=found.other)
