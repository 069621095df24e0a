"""Strips: a stretch of ECG that the visit's doctor attached to the record, as it was looked at.

What was measured stays where it is; a strip is a copy of up to thirty seconds with the speed, gain
and words it was attached with. It lies sealed under the patient's key and goes with the visit.
"""

from datetime import datetime
from textwrap import wrap
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, defer, mapped_column

from people import audit
from people.facts import EcgStripAttached, emit
from people.notices import notify
from people.organisations import Organisations
from people.personal_keys import key_of_known
from people.persons import Persons, full_name
from people.policy import Act, Actor, require
from people.refused import NotFound, Refused
from people.sentences import decimal, sentence
from storage.data_keys import DataKey, row
from storage.engine import Base
from telemed.ecg_trace import (
    BadSpan,
    FoundTrace,
    Lead,
    Micros,
    Span,
    Trace,
    find_trace,
    require_span,
)
from telemed.visits import Visits, measured, seen, thing

MOST_S: Final = 30
MOST_OF_VISIT: Final = 100
SPEEDS: Final = (12.5, 25.0, 50.0)
# Beside the two lines of names a sheet has four for a remark: 500 letters fit in any case.
_LINE, _LINES = 130, 4
# The year 2200, as for frames (devices/frames.py).
_Time = Annotated[int, msgspec.Meta(ge=0, le=7_258_118_400_000_000)]


@audit.health_table
class EcgStrips(Base):
    """One strip; `sealed` holds its samples and words, `sealed_pdf` the sheet made of them."""

    __tablename__ = "ecg_strips"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visits.id", ondelete="CASCADE"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    # No foreign key: a strip says where it was taken from, and stands for itself.
    stream: Mapped[UUID]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    made_at: Mapped[datetime]
    sealed: Mapped[bytes]
    sealed_pdf: Mapped[bytes]

    __table_args__ = (Index(None, "visit_id"), Index(None, "person_id"))


class NewStrip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strip to be attached; the page makes the id, so that a repeat is known as one."""

    id: UUID
    from_us: _Time
    until_us: _Time
    speed_mm_s: float
    gain_mm_mv: Literal[5, 10, 20]
    remark: Annotated[str, msgspec.Meta(max_length=500)] = ""

    def __post_init__(self) -> None:
        if self.speed_mm_s not in SPEEDS:
            raise ValueError("speed_mm_s is 12.5, 25 or 50")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What lies sealed: all that is needed to draw the strip again; `payload` is int16."""

    asked: NewStrip
    lead: Lead
    started_at_us: Micros
    payload: bytes
    beats: list[int]
    # What stands above the trace, in the words of whoever attached it, and by which clock.
    caption: list[str]
    filter: str
    scale: str
    timezone: str


class EcgStrip(msgspec.Struct, frozen=True, kw_only=True):
    """A strip in a visit's list."""

    id: UUID
    stream: UUID
    lead: str
    from_us: Micros
    until_us: Micros
    speed_mm_s: float
    gain_mm_mv: int
    remark: str
    made_at: datetime


class Words(msgspec.Struct, frozen=True):
    """What a sheet says of the visit, in the language of whoever attaches it."""

    caption: list[str]
    filter: str
    scale: str
    timezone: str


class Begun(msgspec.Struct, frozen=True):
    """What is known before anything is read from the objects: the strip, if it is there already."""

    found: FoundTrace
    words: Words
    there: EcgStrip | None


class StripEmpty(Refused):
    """Nothing was recorded in this stretch."""

    status = 409
    code = "ecg_strip_empty"


class StripsFull(Refused):
    """A visit has as many strips as it may have; params: most."""

    status = 409
    code = "ecg_strips_full"


class StripIdUsed(Refused):
    """The id a page made for its strip belongs to another one."""

    status = 409
    code = "ecg_strip_id_used"


async def begin(  # noqa: PLR0917 - who, where, what
    db: AsyncSession, actor: Actor, visit_id: UUID, stream: UUID, new: NewStrip, now: datetime
) -> Begun:
    """Find what a strip is made of, or the strip when it was attached before.

    Raises NotFound, Forbidden, ConsentWithdrawn, BadSpan, StripIdUsed.
    """
    visit = await measured(db, actor, visit_id, now)
    require(actor, Act.ATTACH_ECG_STRIP, thing(visit), now)
    span = Span(new.from_us, new.until_us)
    require_span(span, MOST_S)
    return Begun(
        await find_trace(db, actor, visit_id, stream, span, now),
        await _words(db, actor, visit, new),
        await _there(db, visit, stream, new, now),
    )


async def attach(  # noqa: PLR0917 - who, where, what and what was made of it
    db: AsyncSession,
    actor: Actor,
    visit_id: UUID,
    stream: UUID,
    new: NewStrip,
    content: Content,
    pdf: bytes,
    now: datetime,
) -> EcgStrip:
    """Keep a strip that was read and drawn; rights are judged anew.

    Raises as `begin`, StripsFull.
    """
    await seen(db, actor, visit_id, now, lock=True)
    visit = await measured(db, actor, visit_id, now)
    require(actor, Act.ATTACH_ECG_STRIP, thing(visit), now)
    there = await _there(db, visit, stream, new, now)
    if there is not None:
        return there
    count = select(func.count()).where(EcgStrips.visit_id == visit.id)
    before = await db.scalar(count, execution_options=audit.WRITE_PATH) or 0
    if before >= MOST_OF_VISIT:
        raise StripsFull(most=MOST_OF_VISIT)
    key = await key_of_known(db, visit.patient_id, now)
    strip = EcgStrips(
        id=new.id,
        visit_id=visit.id,
        person_id=visit.patient_id,
        stream=stream,
        made_by=actor.id,
        made_at=now,
        sealed=key.seal(msgspec.msgpack.encode(content), _about(new.id)),
        sealed_pdf=key.seal(pdf, row("ecg_strips", "pdf", new.id)),
    )
    db.add(strip)
    try:
        await db.flush()
    except IntegrityError as taken:  # of another visit, at the same moment
        raise StripIdUsed from taken
    await audit.acted(db, actor.id, "ecg_strip_attached", thing(visit), now)
    emit(db, EcgStripAttached(at=now, visit_id=visit.id))
    if not before:
        await _tell(db, visit, now)
    return _shown(strip, content)


async def _tell(db: AsyncSession, visit: Visits, now: datetime) -> None:
    """Tell the patient, who may have no page open, of a visit's first strip and not of each."""
    doctor = _name(await db.get_one(Persons, visit.doctor_id))
    await notify(db, visit.patient_id, "visit_ecg_strip", {"doctor": doctor}, now, about=visit.id)


async def visit_strips(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> list[EcgStrip]:
    """Give the strips of a visit, the oldest first. Raises NotFound, ConsentWithdrawn."""
    visit = await measured(db, actor, visit_id, now)
    # A hundred sheets would come along each time a page asks what there is.
    query = of_visit(visit.id).options(defer(EcgStrips.sealed_pdf, raiseload=True))
    query = query.order_by(EcgStrips.made_at, EcgStrips.id)
    rows = await _read(db, actor, visit, query, now)
    if not rows:
        return []
    key = await key_of_known(db, visit.patient_id, now)
    return [_shown(one, content_of(one, key)) for one in rows]


async def get_strip(
    db: AsyncSession, actor: Actor, visit_id: UUID, strip_id: UUID, now: datetime
) -> tuple[Content, bytes]:
    """Give what a strip is drawn of, and its sheet. Raises NotFound, ConsentWithdrawn."""
    visit = await measured(db, actor, visit_id, now)
    query = of_visit(visit.id).where(EcgStrips.id == strip_id)
    rows = await _read(db, actor, visit, query, now)
    if not rows:
        raise NotFound
    key = await key_of_known(db, visit.patient_id, now)
    return content_of(rows[0], key), pdf_of(rows[0], key)


def require_drawable(trace: Trace) -> None:
    """Refuse a stretch that no strip can be made of. Raises StripEmpty, BadSpan.

    A recorder whose clock stands still sends more signal than there was time for.
    """
    if not len(trace.samples):
        raise StripEmpty
    if len(trace.samples) > 2 * MOST_S * trace.lead.rate_hz:
        raise BadSpan("too_long", most_s=MOST_S)


def content(trace: Trace, new: NewStrip, beats: list[int], words: Words) -> Content:
    """Make what is kept of a stretch."""
    return Content(
        asked=new,
        lead=trace.lead,
        started_at_us=trace.at_us(0),
        payload=trace.samples.astype("<i2").tobytes(),
        beats=beats,
        caption=words.caption,
        filter=words.filter,
        scale=words.scale,
        timezone=words.timezone,
    )


def of_visit(visit_id: UUID) -> Select[EcgStrips]:
    """SQL: the strips of a visit."""
    return select(EcgStrips).where(EcgStrips.visit_id == visit_id)


def content_of(strip: EcgStrips, key: DataKey) -> Content:
    """Open what a strip is drawn of. Raises CannotOpen."""
    return msgspec.msgpack.decode(key.open(strip.sealed, _about(strip.id)), type=Content)


def pdf_of(strip: EcgStrips, key: DataKey) -> bytes:
    """Open the sheet of a strip. Raises CannotOpen."""
    return key.open(strip.sealed_pdf, row("ecg_strips", "pdf", strip.id))


async def _words(db: AsyncSession, actor: Actor, visit: Visits, new: NewStrip) -> Words:
    """Only names: whether the visit may be joined is another question, and not asked."""
    patient, doctor, place = (
        await db.get_one(Persons, visit.patient_id),
        await db.get_one(Persons, visit.doctor_id),
        await db.get_one(Organisations, visit.organisation_id),
    )
    writer = await db.get(Persons, actor.id)
    language = writer.language if writer else "ru"
    scale = {"speed": decimal(language, new.speed_mm_s), "gain": new.gain_mm_mv}
    caption = [_name(patient), f"{_name(doctor)} · {place.name}", *_lines(new.remark)]
    return Words(
        [line for line in caption if line],
        sentence(language, "visit.ecg_no_filter"),
        sentence(language, "visit.ecg_scale", scale),
        place.timezone,
    )


def _name(person: Persons) -> str:
    return full_name(person.given_name, person.family_name)


def _lines(remark: str) -> list[str]:
    """The whole remark in lines that a sheet has the width for, cut within words if it must be."""
    said = " ".join(remark.split())
    lines = wrap(said, _LINE)
    if len(lines) > _LINES:
        lines = [said[at : at + _LINE] for at in range(0, len(said), _LINE)]
    return lines


async def _there(
    db: AsyncSession, visit: Visits, stream: UUID, new: NewStrip, now: datetime
) -> EcgStrip | None:
    """Give the strip of this id if it is the same one sent again."""
    query = select(EcgStrips).where(EcgStrips.id == new.id)
    found: EcgStrips | None = await db.scalar(query, execution_options=audit.WRITE_PATH)
    if found is None:
        return None
    if (found.visit_id, found.stream) != (visit.id, stream):
        raise StripIdUsed
    kept = content_of(found, await key_of_known(db, visit.patient_id, now))
    if kept.asked != new:
        raise StripIdUsed
    return _shown(found, kept)


async def _read(
    db: AsyncSession, actor: Actor, visit: Visits, query: Select[EcgStrips], now: datetime
) -> list[EcgStrips]:
    purpose = audit.Purpose(Act.SEE_VISIT_ECG, thing(visit), now)
    return [one[0] for one in await audit.read(db, actor, query, purpose)]


def _about(strip_id: UUID) -> bytes:
    return row("ecg_strips", "content", strip_id)


def _shown(strip: EcgStrips, kept: Content) -> EcgStrip:
    asked = kept.asked
    return EcgStrip(
        id=strip.id,
        stream=strip.stream,
        lead=kept.lead.name,
        from_us=asked.from_us,
        until_us=asked.until_us,
        speed_mm_s=asked.speed_mm_s,
        gain_mm_mv=asked.gain_mm_mv,
        remark=asked.remark,
        made_at=strip.made_at,
    )
