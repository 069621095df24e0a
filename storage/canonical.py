"""Canonical JSON: one value has one spelling, so that a signature over bytes is one over a value.

RFC 8785 as far as our values go: strings, whole numbers that every reader can hold (±2⁵³-1),
booleans, null, arrays and objects. No fractions: readers differ in how they write them.
"""

import json
from typing import Any, Final

_MOST: Final = 2**53 - 1
_DEPTH: Final = 20


class NotCanonical(ValueError):  # noqa: N818 - states a fact
    """This value has no canonical spelling, or these bytes are another spelling than that."""


def dumps(value: Any) -> bytes:
    """Spell `value`. Raises NotCanonical."""
    written = json.dumps(_ordered(value, _DEPTH), ensure_ascii=False, separators=(",", ":"))
    try:
        return written.encode()
    except UnicodeEncodeError as half:  # half of a surrogate pair
        raise NotCanonical("a text is no Unicode text") from half


def loads(written: bytes) -> Any:
    """Read what `dumps` spelled and nothing else: not a space more. Raises NotCanonical."""
    try:
        value = json.loads(written.decode(), object_pairs_hook=_object, parse_float=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("no JSON") from error
    if dumps(value) != written:
        raise NotCanonical("another spelling")
    return value


def _ordered(value: Any, depth: int) -> Any:
    if depth == 0:
        raise NotCanonical("nested too deep")
    match value:
        case None | bool() | str():
            return value
        case int() if -_MOST <= value <= _MOST:
            return value
        case list() | tuple():
            return [_ordered(one, depth - 1) for one in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _ordered(value[key], depth - 1) for key in sorted(value, key=_utf16)}
        case _:
            raise NotCanonical(f"no canonical spelling of {type(value).__name__}")


def _utf16(key: str) -> bytes:
    """RFC 8785 orders names by UTF-16 units, as JavaScript does."""
    return key.encode("utf-16-be", "surrogatepass")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("a name stands twice")
    return found


def _no_fraction(_: str) -> Any:
    raise NotCanonical("a fraction")
