"""What documents say, kind by kind, and which part of it each reader is given. Pure.

A reader is given a body of his own, signed by itself: a school's certificate never held the
diagnosis, so nothing can bring it to light.

    full     the person, the person's guardians, the doctor
    school   of a certificate only: dates and exemption from sports, nothing about why
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from people.consent_rules import Purpose
from people.refused import FieldError

Line = Annotated[str, msgspec.Meta(max_length=300)]
Paragraphs = Annotated[str, msgspec.Meta(max_length=6000)]
# A code of ICD-10 as it is printed in books: J06, J06.9.
Icd10 = Annotated[str, msgspec.Meta(pattern=r"^([A-Z][0-9]{2}(\.[0-9]{1,2})?)?\Z")]

# Letters that the printed font has: Latin, Cyrillic with the Tatar letters, and signs of a text.
_UNPRINTABLE = re.compile(
    r"[^\n -~\u00a0-\u017f\u0400-\u0477\u048c-\u04c4\u04c7-\u04cc\u04d0-\u04f9"
    r"–—‘’‚“”„†•…‰‹›⁄€№™−≈≠≤≥←→]"
)


class DocumentKind(StrEnum):
    """What a document is."""

    CONCLUSION = "conclusion"
    REFERRAL = "referral"
    CERTIFICATE = "certificate"
    CONSENT = "consent"


class Audience(StrEnum):
    """For whom a signed body is made."""

    FULL = "full"
    SCHOOL = "school"


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind of content is."""


class Conclusion(_Content, frozen=True, tag=DocumentKind.CONCLUSION.value):
    """What the doctor found in a visit, and advises."""

    diagnosis: Line = ""
    icd10: Icd10 = ""
    text: Paragraphs = ""
    advice: Paragraphs = ""


class Referral(_Content, frozen=True, tag=DocumentKind.REFERRAL.value):
    """To whom the person is sent, and why."""

    to: Line = ""
    reason: Paragraphs = ""
    diagnosis: Line = ""
    icd10: Icd10 = ""


class Certificate(_Content, frozen=True, tag=DocumentKind.CERTIFICATE.value):
    """From when until when somebody was ill, and no sports until when; days included."""

    absent_from: date | None = None
    absent_until: date | None = None
    sports_until: date | None = None
    diagnosis: Line = ""
    icd10: Icd10 = ""


class ConsentRecord(_Content, frozen=True, tag=DocumentKind.CONSENT.value):
    """That the person agreed to something; by whom, when and to which words is added on signing."""

    purpose: Purpose = Purpose.TELEMEDICINE


Content = Conclusion | Referral | Certificate | ConsentRecord


def kind_of(content: Content) -> DocumentKind:
    """Which kind of document this fills."""
    return DocumentKind(str(content.__struct_config__.tag))


def wrong(content: Content) -> tuple[FieldError, ...]:
    """What keeps a draft from being signed: fields that are missing or contradict each other."""
    errors = [FieldError(name, "missing") for name in _needed(content) if not _there(content, name)]
    match content:
        case Certificate(absent_from=date() as first, absent_until=date() as last) if last < first:
            errors.append(FieldError("absent_until", "before_start"))
        case _:
            pass
    return tuple(errors)


def unprintable(content: Content) -> tuple[FieldError, ...]:
    """Fields with letters that the printed document has no sign for."""
    return tuple(
        FieldError(name, "unprintable")
        for name, value in msgspec.structs.asdict(content).items()
        if isinstance(value, str) and _UNPRINTABLE.search(value)
    )


def printable(text: str) -> str:
    """Put a sign of the printed font in place of each that it has not: a name is nobody's fault."""
    return _UNPRINTABLE.sub("?", text)


def said_to(content: Content) -> dict[Audience, dict[str, Any]]:
    """Give what each reader's body says: JSON values, without what was left empty."""
    whole = {key: value for key, value in msgspec.to_builtins(content).items() if value}
    whole.pop("kind")
    found = {Audience.FULL: whole}
    if isinstance(content, Certificate):
        dates = ("absent_from", "absent_until", "sports_until")
        found[Audience.SCHOOL] = {key: whole[key] for key in dates if key in whole}
    return found


def _needed(content: Content) -> tuple[str, ...]:
    match content:
        case Conclusion():
            return ("text",)
        case Referral():
            return ("to", "reason")
        case Certificate():
            return ("absent_from", "absent_until")
        case _:
            return ()


def _there(content: Content, name: str) -> bool:
    value = getattr(content, name)
    return bool(value.strip()) if isinstance(value, str) else value is not None
