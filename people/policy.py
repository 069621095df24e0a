"""Who may: pure rules over rows of relations. No I/O, no clock, deny by default.

ACTS is the whole law: for each act, which kinds of relation give it and how far they reach. The
SELECTs of `visible_to` are compiled from the same rows (people/relations.py); a property test
holds both to the same answer. An act without a rule is given to nobody.
"""

from datetime import datetime
from enum import Enum, StrEnum
from uuid import UUID

import msgspec

from people.refused import Forbidden


class Kind(StrEnum):
    """Kinds of relation."""

    DUTY = "duty"  # works as doctor or teacher in an organisation
    ADMINISTRATION = "administration"  # administers an organisation
    ATTACHMENT = "attachment"  # is a patient of a clinic
    APPOINTMENT = "appointment"  # takes part in a visit that is booked or open
    RECORD = "record"  # held a visit that is closed: its papers stay readable
    GUARDIANSHIP = "guardianship"  # is parent or guardian of a child
    TEACHING = "teaching"  # teaches a lesson
    CLASS = "class"  # is a pupil of a class
    DEVICE = "device"  # a device measures for a person


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """One row of relations, as a value: `actor_id` holds a right from `since` until `until`."""

    actor_id: UUID
    kind: Kind
    subject_id: UUID | None = None
    organisation_id: UUID | None = None
    about_id: UUID | None = None
    since: datetime
    until: datetime | None = None

    def live(self, now: datetime) -> bool:
        """True from `since` (included) to `until` (not included)."""
        return self.since <= now and (self.until is None or now < self.until)


class Actor(msgspec.Struct, frozen=True):
    """Who acts: a person, a device, or nobody signed in (`id` is None)."""

    id: UUID | None
    rights: tuple[Right, ...] = ()


ANONYMOUS = Actor(id=None)


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What is acted upon: whose it is, in which organisation, and which ids a right may be about.

    A visit: the patient, the clinic, {visit}. A lesson: nobody, the school, {lesson, class}.
    An account or a device: the person, no organisation.
    """

    subject_id: UUID | None = None
    organisation_id: UUID | None = None
    about: tuple[UUID, ...] = ()


class Reach(Enum):
    """What a relation must have in common with the thing."""

    ANYONE = "anyone"  # no relation asked
    SELF = "self"  # no relation asked: the thing is the actor's own
    SUBJECT = "subject"  # same subject, wherever it is
    ORGANISATION = "organisation"  # same organisation
    ABOUT = "about"  # same subject and organisation, and about this very thing


class Rule(msgspec.Struct, frozen=True):
    """One way to be given an act."""

    reach: Reach
    kind: Kind | None = None
    own: bool = False  # and the thing is the actor's own
    on_duty: bool = False  # and the actor still works in the thing's organisation


class Act(StrEnum):
    """Everything that can be asked for. Routes and socket messages name one of these."""

    SIGN_IN = "sign_in"
    LOOK_AT_SERVICE = "look_at_service"  # health, readiness, API description
    ACCOUNT = "account"  # my name, language, sessions, day, sign-out
    OWN_DEVICES = "own_devices"
    ADD_OWN_READING = "add_own_reading"
    SEND_READINGS = "send_readings"
    SEND_ECG = "send_ecg"
    BOOK_VISIT = "book_visit"
    SEE_VISIT = "see_visit"
    JOIN_VISIT = "join_visit"
    OPEN_VISIT = "open_visit"
    CLOSE_VISIT = "close_visit"
    SEE_VISIT_READINGS = "see_visit_readings"
    SEE_VISIT_ECG = "see_visit_ecg"
    READ_NOTE = "read_note"
    WRITE_NOTE = "write_note"
    SCHEDULE_LESSON = "schedule_lesson"
    SEE_LESSON = "see_lesson"
    JOIN_LESSON = "join_lesson"  # sit in the room: hear, raise a hand, write
    LEAD_LESSON = "lead_lesson"  # open, end, give the floor, show, record
    WATCH_LESSON = "watch_lesson"
    WATCH_SCHOOL_LESSON = "watch_school_lesson"  # a take made for the whole school


_ANYONE = (Rule(Reach.ANYONE),)
_SELF = (Rule(Reach.SELF),)
_DEVICE = (Rule(Reach.SUBJECT, Kind.DEVICE),)
_DOCTOR_NOW = Rule(Reach.ABOUT, Kind.APPOINTMENT, on_duty=True)
_DOCTOR_AFTER = Rule(Reach.ABOUT, Kind.RECORD, on_duty=True)
_PATIENT_NOW = Rule(Reach.ABOUT, Kind.APPOINTMENT, own=True)
_TEACHER = Rule(Reach.ABOUT, Kind.TEACHING, on_duty=True)
_PUPIL = Rule(Reach.ABOUT, Kind.CLASS)

ACTS: dict[Act, tuple[Rule, ...]] = {
    Act.SIGN_IN: _ANYONE,
    Act.LOOK_AT_SERVICE: _ANYONE,
    Act.ACCOUNT: _SELF,
    Act.OWN_DEVICES: _SELF,
    Act.ADD_OWN_READING: _SELF,
    Act.SEND_READINGS: _DEVICE,
    Act.SEND_ECG: _DEVICE,
    Act.BOOK_VISIT: (Rule(Reach.ORGANISATION, Kind.ADMINISTRATION),),
    Act.SEE_VISIT: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.JOIN_VISIT: (_DOCTOR_NOW, _PATIENT_NOW),
    Act.OPEN_VISIT: (_DOCTOR_NOW,),
    # Closing twice is one closing: a repeat after a lost answer must not be refused.
    Act.CLOSE_VISIT: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.SEE_VISIT_READINGS: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.SEE_VISIT_ECG: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.READ_NOTE: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.WRITE_NOTE: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.SCHEDULE_LESSON: (Rule(Reach.ORGANISATION, Kind.ADMINISTRATION),),
    Act.SEE_LESSON: (_TEACHER, _PUPIL),
    Act.JOIN_LESSON: (_TEACHER, _PUPIL),
    Act.LEAD_LESSON: (_TEACHER,),
    Act.WATCH_LESSON: (_TEACHER, _PUPIL),
    Act.WATCH_SCHOOL_LESSON: (
        Rule(Reach.ORGANISATION, Kind.DUTY),
        Rule(Reach.ORGANISATION, Kind.CLASS),
    ),
}


def may(actor: Actor, act: Act, thing: Thing, now: datetime) -> bool:
    """Say whether `actor` may do `act` to `thing` at `now`."""
    return any(_gives(rule, actor, thing, now) for rule in ACTS.get(act, ()))


def require(actor: Actor, act: Act, thing: Thing, now: datetime) -> None:
    """Refuse what `may` denies, with a Forbidden that carries who, act and thing."""
    if not may(actor, act, thing, now):
        raise Forbidden(act, thing, actor.id)


def _gives(rule: Rule, actor: Actor, thing: Thing, now: datetime) -> bool:
    if rule.reach is Reach.ANYONE:
        return True
    if actor.id is None:
        return False
    own = thing.subject_id == actor.id
    if rule.reach is Reach.SELF:
        return own
    if rule.own and not own:
        return False
    live = [r for r in actor.rights if r.actor_id == actor.id and r.live(now)]
    if rule.on_duty and not any(_on_duty(right, thing) for right in live):
        return False
    return any(_reaches(rule, right, thing) for right in live)


def _on_duty(right: Right, thing: Thing) -> bool:
    return (
        right.kind is Kind.DUTY
        and right.organisation_id is not None
        and right.organisation_id == thing.organisation_id
    )


def _reaches(rule: Rule, right: Right, thing: Thing) -> bool:
    if right.kind is not rule.kind:
        return False
    if rule.reach is Reach.SUBJECT:
        return right.subject_id is not None and right.subject_id == thing.subject_id
    same_organisation = (
        right.organisation_id is not None and right.organisation_id == thing.organisation_id
    )
    if rule.reach is Reach.ORGANISATION:
        return same_organisation
    return (
        same_organisation and right.subject_id == thing.subject_id and right.about_id in thing.about
    )
