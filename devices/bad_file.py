"""Why a file of measurements is refused.

BadFile     carries one of Fault's codes and where in the file it was seen
"""

from enum import StrEnum


class Fault(StrEnum):
    """Why a file is not read; the pages have a sentence for each."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    UNKNOWN_FORMAT = "unknown_format"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    INCONSISTENT = "inconsistent"
    NOT_READ = "not_read"  # sound perhaps, but uses what this reader does not know
    NO_ECG = "no_ecg"
    NO_READINGS = "no_readings"
    NOT_TEXT = "not_text"
    NO_COLUMNS = "no_columns"


class BadFile(Exception):  # noqa: N818 - a refusal, named as the fact it states
    """A file nobody should act on. `where` names a place in it and never quotes it."""

    def __init__(self, code: Fault, where: str = "") -> None:
        super().__init__(f"{code.value}: {where}" if where else code.value)
        self.code = code
        self.where = where
