"""`yanasha verify FILE --key PUBLIC`: is this paper genuine? Needs nothing but the two files.

It reads neither settings nor home, and asks nobody. What it cannot know is whether a genuine
document was revoked or superseded since: that is asked at the address in its QR code.
"""

import sys
from pathlib import Path
from typing import Any

from ops.children import Cannot
from storage import pdf_signing, signing
from storage.signing import BadKey, Why

_MOST_BYTES = 50 << 20
_PDF = b"%PDF-"
_WHY = {
    Why.UNREADABLE: "it is not what a signed document looks like",
    Why.OTHER_KEY: "another key signed it than the one that was given",
    Why.CHANGED: "its content and its signature do not belong together",
}


def verify_file(path: Path, key: Path) -> int:
    """Print what the file is; 1 when it is forged. Raises Cannot."""
    keys = _keys(key)
    file = _read(path)
    if file.startswith(_PDF):
        verdict = pdf_signing.verify(keys, file)
        return _say(verdict.why, verdict.key, None)
    text = file.decode("ascii", "replace").strip()
    if not file.startswith(b"{") and "." in text:
        before, _, line = text.rpartition("/")
        found = signing.verify_line(keys, line)
        body = found.body
        named = body and {"kind": body.get("k"), "number": body.get("n"), "date": body.get("d")}
        said = _say(found.why, found.key, named)
        if before and not said:
            sys.stdout.write("The address before it is not signed: anybody may have written it.\n")
        return said
    found = signing.verify(keys, file)
    return _say(found.why, found.key, found.body)


def _say(why: Why | None, key: str | None, body: dict[str, Any] | None) -> int:
    if why is not None:
        sys.stdout.write(f"FORGED: {_WHY[why]}.\n")
        return 1
    sys.stdout.write(f"GENUINE: signed with the key {key}.\n")
    if body is not None:
        named = ", ".join(
            f"{name} {body[name]}" for name in ("kind", "number", "date") if name in body
        )
        sys.stdout.write(f"  {named}\n")
    sys.stdout.write("Whether it was revoked since, the address in its QR code tells.\n")
    return 0


def _keys(path: Path) -> list[bytes]:
    try:
        return signing.public_keys_in(_read(path).decode())
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
