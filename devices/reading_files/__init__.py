"""Readings in the files that programs and telephones export: CSV, Apple's export.xml, FHIR R4.

`read` gives a row for everything that was found: a measurement, or the code of why it is none.
Nothing is dropped without a row; whole kinds that are not ours are one row with their number.
"""

from devices.reading_files.reading import Format, Options, format_of, read
from devices.reading_files.rows import FileRow

__all__ = ["FileRow", "Format", "Options", "format_of", "read"]
