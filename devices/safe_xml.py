"""XML of strangers, read as it comes: nothing is built, fetched or expanded.

A document that declares an entity is refused; element and attribute declarations, which Apple's
export has, are let by. Depth, text and attributes are bounded by expat's own buffer and by DEPTH.
"""

from collections.abc import Iterator
from typing import Final, Never, Protocol
from xml.parsers import expat

from devices.bad_file import BadFile, Fault

DEPTH: Final = 200
_PIECE: Final = 64 << 10
# One tag may be no longer than this: expat keeps an unfinished one whole.
_LONGEST_TAG: Final = 1 << 20


class Source(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, none at the end."""


class Handler(Protocol):
    """What is told of a document: tags with their local names, and text where it is wanted."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag opens."""

    def end(self, name: str) -> None:
        """A tag closes."""

    def text(self, piece: str) -> None:
        """A piece of text."""


class _Events:
    """Tags on their way to a handler: local names, and no deeper than DEPTH."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        self._depth += 1
        if self._depth > DEPTH:
            raise BadFile(Fault.TOO_LARGE, "depth")
        self._handler.start(name.rpartition(":")[2], attributes)

    def end(self, name: str) -> None:
        """A tag closes."""
        self._depth -= 1
        self._handler.end(name.rpartition(":")[2])


def _refuse(*_: object) -> Never:
    raise BadFile(Fault.NOT_READ, "entity")


def parse(data: Source, handler: Handler) -> None:
    """Read a document to its end. Raises BadFile, and what the handler raises."""
    for _ in pieces(data, handler):
        pass


def pieces(data: Source, handler: Handler) -> Iterator[None]:
    """Read a document; yields after each piece, so that what was found can be taken away."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    events = _Events(handler)
    parser.StartElementHandler = events.start
    parser.EndElementHandler = events.end
    parser.CharacterDataHandler = handler.text
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    seen = 0
    try:
        while piece := data.read(_PIECE):
            seen += len(piece)
            parser.Parse(piece, False)
            if seen - parser.CurrentByteIndex > _LONGEST_TAG:
                raise BadFile(Fault.TOO_LARGE, "tag")
            yield
        if not seen:
            raise BadFile(Fault.EMPTY)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        ended = {
            expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
            expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
        }
        fault = Fault.TRUNCATED if error.code in ended else Fault.DAMAGED
        raise BadFile(fault, f"line {error.lineno}") from error
    except (ValueError, LookupError) as error:  # an encoding nobody knows
        raise BadFile(Fault.NOT_TEXT) from error
