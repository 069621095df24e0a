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
    GUARDIANSHIP = "guardianship"  # is parent or guardian of a child: the tie itself, gives nothing
    CHILD_HEALTH = "child_health"  # sees a child's health, as far as age, teen and court let him
    CHILD_SCHOOL = "child_school"  # sees a child's school, likewise
    CLERKSHIP = "clerkship"  # nurse or clerk: helps at the desk whoever shows a QR
    ASSISTANCE = "assistance"  # acts for a person who showed a QR, for a while
    SHARE = "share"  # a person opened the record to a doctor of a clinic, for a while
    BREAK_GLASS = "break_glass"  # an emergency opened a record to a doctor, for an hour
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
    SUBJECT_AT = "subject_at"  # same subject, same organisation
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
    HOUSEHOLD = "household"  # my family: who belongs to it, who may see whom
    SEE_CHILD_HEALTH = "see_child_health"
    SEE_CHILD_SCHOOL = "see_child_school"
    CONSENT = "consent"  # give or withdraw a consent for oneself
    CONSENT_FOR_CHILD_HEALTH = "consent_for_child_health"
    CONSENT_FOR_CHILD_SCHOOL = "consent_for_child_school"
    SCAN_QR = "scan_qr"
    ASSIST = "assist"
    SEE_RECORD = "see_record"  # a person's readings and visits, outside any one visit
    WHO_LOOKED = "who_looked"
    EXPORT_DATA = "export_data"  # take away what the house knows of oneself
    BREAK_GLASS = "break_glass"
    REVIEW_BREAK_GLASS = "review_break_glass"
    MANAGE_PEOPLE = "manage_people"  # people, cards, hats of an organisation
    LET_IN = "let_in"  # give a person of the organisation a one-time link
    MANAGE_CONSENT_TEXTS = "manage_consent_texts"
    READ_AUDIT = "read_audit"
    ERASE_PERSON = "erase_person"
    HOLD_PERSON = "hold_person"  # forbid for a while that anything about somebody is deleted
    WATCH_BOARD = "watch_board"  # who is where now, failed jobs, disk
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
    ATTACH_ECG_STRIP = "attach_ecg_strip"  # a stretch of the trace, to the record
    SEE_VISIT_FILES = "see_visit_files"
    ADD_VISIT_FILE = "add_visit_file"  # and take back what one handed in
    SEE_VISIT_QUALITY = "see_visit_quality"  # how its call went, by side
    READ_NOTE = "read_note"
    WRITE_NOTE = "write_note"
    WRITE_DOCUMENT = "write_document"  # draft, sign
    REVOKE_DOCUMENT = "revoke_document"  # by kind, number and name: not what it says
    SEE_DOCUMENT = "see_document"
    GIVE_DOCUMENT = "give_document"  # hand one's own paper on, say that it arrived
    RECEIVE_DOCUMENTS = "receive_documents"  # at the desk of a school
    SCHEDULE_LESSON = "schedule_lesson"
    SEE_LESSON = "see_lesson"
    JOIN_LESSON = "join_lesson"  # sit in the room: hear, raise a hand, write
    SEE_LESSON_QUALITY = "see_lesson_quality"  # how it arrived at everybody in it
    LEAD_LESSON = "lead_lesson"  # open, end, give the floor, show, record
    WATCH_LESSON = "watch_lesson"
    WATCH_SCHOOL_LESSON = "watch_school_lesson"  # a take made for the whole school


_ANYONE = (Rule(Reach.ANYONE),)
_SELF = (Rule(Reach.SELF),)
_DEVICE = (Rule(Reach.SUBJECT, Kind.DEVICE),)
_DOCTOR_NOW = Rule(Reach.ABOUT, Kind.APPOINTMENT, on_duty=True)
_DOCTOR_AFTER = Rule(Reach.ABOUT, Kind.RECORD, on_duty=True)
_PATIENT_NOW = Rule(Reach.ABOUT, Kind.APPOINTMENT, own=True)
_CHILD_HEALTH = Rule(Reach.SUBJECT, Kind.CHILD_HEALTH)
_CHILD_SCHOOL = Rule(Reach.SUBJECT, Kind.CHILD_SCHOOL)
_ADMINISTRATOR = (Rule(Reach.ORGANISATION, Kind.ADMINISTRATION),)
_TEACHER = Rule(Reach.ABOUT, Kind.TEACHING, on_duty=True)
_PUPIL = Rule(Reach.ABOUT, Kind.CLASS)

ACTS: dict[Act, tuple[Rule, ...]] = {
    Act.SIGN_IN: _ANYONE,
    Act.LOOK_AT_SERVICE: _ANYONE,
    Act.ACCOUNT: _SELF,
    Act.HOUSEHOLD: _SELF,
    Act.SEE_CHILD_HEALTH: (_CHILD_HEALTH,),
    Act.SEE_CHILD_SCHOOL: (_CHILD_SCHOOL,),
    Act.CONSENT: _SELF,
    Act.CONSENT_FOR_CHILD_HEALTH: (_CHILD_HEALTH,),
    Act.CONSENT_FOR_CHILD_SCHOOL: (_CHILD_SCHOOL,),
    Act.SCAN_QR: (
        Rule(Reach.ORGANISATION, Kind.DUTY),
        Rule(Reach.ORGANISATION, Kind.CLERKSHIP),
    ),
    Act.ASSIST: (Rule(Reach.SUBJECT_AT, Kind.ASSISTANCE),),
    Act.SEE_RECORD: (
        Rule(Reach.SELF),
        _CHILD_HEALTH,
        Rule(Reach.SUBJECT_AT, Kind.SHARE, on_duty=True),
        Rule(Reach.SUBJECT_AT, Kind.BREAK_GLASS, on_duty=True),
    ),
    Act.WHO_LOOKED: (Rule(Reach.SELF), _CHILD_HEALTH),
    Act.EXPORT_DATA: _SELF,
    Act.BREAK_GLASS: (Rule(Reach.ORGANISATION, Kind.DUTY),),
    Act.REVIEW_BREAK_GLASS: _ADMINISTRATOR,
    Act.MANAGE_PEOPLE: _ADMINISTRATOR,
    Act.LET_IN: (*_ADMINISTRATOR, Rule(Reach.ORGANISATION, Kind.CLERKSHIP)),
    Act.MANAGE_CONSENT_TEXTS: _ADMINISTRATOR,
    Act.READ_AUDIT: _ADMINISTRATOR,
    Act.ERASE_PERSON: _ADMINISTRATOR,
    Act.HOLD_PERSON: _ADMINISTRATOR,
    Act.WATCH_BOARD: _ADMINISTRATOR,
    Act.OWN_DEVICES: _SELF,
    Act.ADD_OWN_READING: _SELF,
    Act.SEND_READINGS: _DEVICE,
    Act.SEND_ECG: _DEVICE,
    Act.BOOK_VISIT: _ADMINISTRATOR,
    Act.SEE_VISIT: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.JOIN_VISIT: (_DOCTOR_NOW, _PATIENT_NOW),
    Act.OPEN_VISIT: (_DOCTOR_NOW,),
    # Closing twice is one closing: a repeat after a lost answer must not be refused.
    Act.CLOSE_VISIT: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.SEE_VISIT_READINGS: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.SEE_VISIT_ECG: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.ATTACH_ECG_STRIP: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.SEE_VISIT_FILES: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF)),
    Act.ADD_VISIT_FILE: (_DOCTOR_NOW, _PATIENT_NOW),
    Act.SEE_VISIT_QUALITY: (_DOCTOR_NOW, _DOCTOR_AFTER, *_ADMINISTRATOR),
    Act.READ_NOTE: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.WRITE_NOTE: (_DOCTOR_NOW, _DOCTOR_AFTER),
    Act.WRITE_DOCUMENT: (_DOCTOR_NOW, _DOCTOR_AFTER),
    # Doctors leave; what they signed must not hold for ever.
    Act.REVOKE_DOCUMENT: (_DOCTOR_NOW, _DOCTOR_AFTER, *_ADMINISTRATOR),
    Act.SEE_DOCUMENT: (_DOCTOR_NOW, _DOCTOR_AFTER, Rule(Reach.SELF), _CHILD_HEALTH),
    Act.GIVE_DOCUMENT: (Rule(Reach.SELF), _CHILD_HEALTH),
    Act.RECEIVE_DOCUMENTS: (*_ADMINISTRATOR, Rule(Reach.ORGANISATION, Kind.CLERKSHIP)),
    Act.SCHEDULE_LESSON: _ADMINISTRATOR,
    Act.SEE_LESSON: (_TEACHER, _PUPIL),
    Act.JOIN_LESSON: (_TEACHER, _PUPIL),
    Act.SEE_LESSON_QUALITY: (_TEACHER, *_ADMINISTRATOR),
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
    if rule.reach is Reach.SUBJECT_AT:
        same_subject = right.subject_id is not None and right.subject_id == thing.subject_id
        return same_organisation and same_subject
    return (
        same_organisation and right.subject_id == thing.subject_id and right.about_id in thing.about
    )
