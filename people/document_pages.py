"""The page of a signed document: PDF/A-3b with its QR code and the signed JSON inside. Pure.

What a document says goes into the page as data: nothing typed by anybody is read as markup.
"""

import io
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import segno
import typst

from people.document_contents import printable
from people.sentences import sentence
from storage import signing

_PAGE: Final = Path(__file__).with_name("document.typ")
_ORDER: Final = (
    *("to", "absent_from", "absent_until", "sports_until"),
    *("diagnosis", "icd10", "text", "reason", "advice"),
    *("purpose", "version", "given_by", "given_at"),
)


def page_of(file: bytes, address: str) -> bytes:
    """Print a signed file, unsigned yet. The same file and address give the same page."""
    signed = msgspec.json.decode(file, type=signing.Signed)
    qr = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        qr, kind="svg", xmldecl=False, border=4, omitsize=True
    )
    page: bytes = typst.compile(
        _PAGE.read_bytes(),
        format="pdf",
        pdf_standards="a-3b",
        ignore_system_fonts=True,
        sys_inputs={
            "said": msgspec.json.encode(_said(signed)).decode(),
            "qr": qr.getvalue().decode(),
            "file": file.decode(),
        },
    )
    return page


def _said(signed: signing.Signed) -> dict[str, Any]:
    """Give the page's words, in the language of the document."""
    body = signed.body
    language = body["language"]

    def say(name: str, **params: str) -> str:
        return printable(sentence(language, f"documents.print_{name}", params))

    day = date.fromisoformat(body["date"])
    person = body["person"]
    fields = [(say("person"), person["name"])]
    if "born_on" in person:
        fields.append((say("born_on"), _day(person["born_on"])))
    content = body["content"]
    said = (name for name in _ORDER if name in content)
    fields += [(say(name), _words(say, name, content[name])) for name in said]
    if body["supersedes"]:
        fields.append((say("version_of"), str(body["version"])))
    return {
        "title": say(f"title_{body['kind']}"),
        "organisation": printable(body["organisation"]["name"]),
        "numbered": say("numbered", number=body["number"], date=_day(body["date"])),
        "language": language,
        "fields": [(label, printable(words)) for label, words in fields],
        "signed": say("signed", signer=body["signer"]["name"]),
        "verify": say("verify"),
        "key": say("key", key=signed.key),
        "footer": f"{body['number']} · {body['id']}",
        "year": day.year,
        "month": day.month,
        "day": day.day,
    }


def _words(say: Any, name: str, value: Any) -> str:
    if name in {"absent_from", "absent_until", "sports_until"}:
        return _day(value)
    if name == "given_at":
        return _day(value[:10])
    if name == "purpose":
        return str(say(f"purpose_{value}"))
    return str(value)


def _day(iso: str) -> str:
    """A date as all three languages write it in figures."""
    return date.fromisoformat(iso).strftime("%d.%m.%Y")
