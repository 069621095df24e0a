"""`yanasha verify FILE --key PUBLIC`: is this paper genuine? Needs nothing but the two files.

It reads neither settings nor home, and asks nobody. What it cannot know is whether a genuine
document was revoked or superseded since: the register of its house tells. Nor can it tell what was
signed before a key was stolen from what the thief signed: whoever holds a key writes any date.
"""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops.children import Cannot
from storage import pdf_signing, signing
from storage.signing import BadKey, HandedKey, Why

_MOST_BYTES = 50 << 20
_PDF = b"%PDF-"
_WHY = {
    Why.UNREADABLE: "it is not what a signed document looks like",
    Why.OTHER_KEY: "another key signed it than the one that was given",
    Why.CHANGED: "its content and its signature do not belong together",
}


def verify_file(path: Path, key: Path) -> int:
    """Print what the file is; 1 when it is forged, or not to be trusted. Raises Cannot."""
    handed = _keys(key)
    keys = [one.public for one in handed]
    doubts = {
        signing.key_id(one.public): one.compromised_since
        for one in handed
        if one.compromised_since is not None
    }
    file = _read(path)
    if file.startswith(_PDF):
        print_verdict = pdf_signing.verify(keys, file)
        return _say(print_verdict.why, print_verdict.key, None, doubts)
    text = file.decode("ascii", "replace").strip()
    if not file.startswith(b"{") and "." in text:
        before, _, line = text.rpartition("/")
        found = signing.verify_line(keys, line)
        body = found.body
        named = body and {"kind": body.get("k"), "number": body.get("n"), "date": body.get("d")}
        said = _say(found.why, found.key, named, doubts)
        if before:
            sys.stdout.write(
                f"The address before it ({_host(before)}) is not signed, and nobody was asked "
                "there: anybody may have written it.\n"
            )
        return said
    found = signing.verify(keys, file)
    return _say(found.why, found.key, found.body, doubts)


def _say(
    why: Why | None, key: str | None, body: dict[str, Any] | None, doubts: dict[str, str]
) -> int:
    if why is not None:
        sys.stdout.write(f"FORGED: {_WHY[why]}.\n")
        return 1
    since = doubts.get(key or "")
    if since is not None:
        sys.stdout.write(
            f"NOT TO BE TRUSTED: signed with the key {key}, which somebody else may hold since "
            f"{_printable(since)}.\nWhoever holds it writes any date: only the register of its "
            "house knows what was signed before.\n"
        )
        return 1
    sys.stdout.write(f"GENUINE: signed with the key {key}.\n")
    if body is not None:
        named = ", ".join(
            f"{name} {_printable(str(body[name]))}"
            for name in ("kind", "number", "date")
            if name in body
        )
        sys.stdout.write(f"  {named}\n")
    sys.stdout.write("Whether it was revoked since, the register of its house tells.\n")
    return 0


def _host(address: str) -> str:
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    return _printable(host or "of no host")


def _printable(text: str) -> str:
    """What a stranger wrote, without anything that a terminal obeys."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:100])


def _keys(path: Path) -> list[HandedKey]:
    try:
        return signing.handed_keys_in(_read(path).decode())
    except (BadKey, UnicodeDecodeError) as error:
        raise Cannot(f"{path} holds no Ed25519 public key (PEM).") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Cannot(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > _MOST_BYTES:
        raise Cannot(f"{path} is larger than any document.")
    return content
