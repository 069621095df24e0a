"""Why a file is not taken: stable codes, for which the pages have sentences."""

from enum import IntEnum
from typing import Any


class Fault(IntEnum):
    """One reason; its number is the child's exit code, clear of Python's own 1 and 2."""

    BROKEN = 10
    EMPTY = 11
    TYPE_REFUSED = 12
    MISMATCH = 13
    POLYGLOT = 14
    TOO_LARGE = 15
    TOO_MANY_PIXELS = 16
    ANIMATED = 17
    LOCKED = 18
    ACTIVE = 19
    MACROS = 20
    NESTED = 21
    UNPACKS_TOO_LARGE = 22
    TOO_MANY_PAGES = 23
    NOT_TEXT = 24
    INFECTED = 25
    TOO_LONG = 26

    @property
    def code(self) -> str:
        """The word outside."""
        return f"file_{self.name.lower()}"


# What the child says when the disk is full: the file may be good.
NO_ROOM = 40


class BadFile(Exception):  # noqa: N818 - states a fact about the file
    """This file is not kept."""

    def __init__(self, fault: Fault, **params: Any) -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.params = params


class DiskFull(Exception):  # noqa: N818 - states a fact about our house
    """No room on our own disk to look into a file."""
