"""What everybody may ask of every operation: the table, and the things each can be asked of.

A row is operation → what the caller is to the thing → the statuses that are right; a relation that
is not named is a stranger's. It is worked out from who is who in the seed, never by asking the
policy; tests/api/sweep_run.py asks it all. An operation without a row is a breach itself.

A new route adds its row to MATRIX, its body to BODIES, and is done when its path names a visit, a
lesson, an organisation, a person (or child), or a thing of one person (see `targets`).
"""

import re
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sweep_region import Region

from people.policy import Act

NOBODY, STRANGER, SELF = "nobody", "stranger", "self"
DOCTOR, PATIENT, TEACHER, PUPIL = "doctor", "patient", "teacher", "pupil"
# Of the person or child the path names: with a say in its health, or (grown, limited) without.
GUARDIAN, SCHOOL_GUARDIAN = "guardian", "guardian without health"
# Of the patient the path names: a doctor who opened the record in an emergency.
GLASS = "glass"
# In the organisation that is named: who administers it, works there, sits at the desk, is there.
ADMINISTRATOR, CLERK, MEMBER = "administrator", "clerk", "member"
DUTY_DOCTOR, DUTY_TEACHER = "doctor on duty", "teacher on duty"

MATRIX: dict[str, dict[str, set[int]]] = {
    "health": {NOBODY: {200}, STRANGER: {200}},
    "ready": {NOBODY: {200}, STRANGER: {200}},
    "signIn": {NOBODY: {401, 429}, STRANGER: {401, 429}},
    "takeSecondStep": {NOBODY: {401}, STRANGER: {401}},
    "askSecondPasskey": {NOBODY: {401}, STRANGER: {401}},
    "askPasskey": {NOBODY: {201}, STRANGER: {201}},
    # Nobody's key, no code: here it is asked that nobody is let in.
    "signInByPasskey": {NOBODY: {403, 429}, STRANGER: {403, 429}},
    "beginAsFirstAdministrator": {NOBODY: {404, 429}, STRANGER: {404, 429}},
    "me": {NOBODY: {401}, SELF: {200}},
    "myFactors": {NOBODY: {401}, SELF: {200}},
    "beginTotp": {NOBODY: {401}, SELF: {201, 409}},
    "confirmTotp": {NOBODY: {401}, SELF: {403}},
    "removeTotp": {NOBODY: {401}, SELF: {404}},
    "beginPasskey": {NOBODY: {401}, SELF: {201}},
    "addPasskey": {NOBODY: {401}, SELF: {403}},
    # The last factor of staff stays; without one there is nothing to recover.
    "removePasskey": {NOBODY: {401}, STRANGER: {404}, SELF: {204, 409}},
    "newRecoveryCodes": {NOBODY: {401}, SELF: {201, 404}},
    # A new password that is none: it is asked whose is to be changed.
    "changePassword": {NOBODY: {401}, SELF: {422}},
    "askStepUpPasskey": {NOBODY: {401}, SELF: {201}},
    "stepUp": {NOBODY: {401}, SELF: {403, 429}},
    "updateMe": {NOBODY: {401}, SELF: {200}},
    "listSessions": {NOBODY: {401}, SELF: {200}},
    "myDay": {NOBODY: {401}, SELF: {200}},
    "listDevices": {NOBODY: {401}, SELF: {200}},
    "addMyReading": {NOBODY: {401}, SELF: {200, 201}},
    "sendReadings": {NOBODY: {401}, STRANGER: {401}},
    "listNotices": {NOBODY: {401}, SELF: {200}},
    "unreadNotices": {NOBODY: {401}, SELF: {200}},
    "readNotice": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "readNotices": {NOBODY: {401}, SELF: {204}},
    "noticeWays": {NOBODY: {401}, SELF: {200}},
    "setQuietHours": {NOBODY: {401}, SELF: {200}},
    "setNoticeMail": {NOBODY: {401}, SELF: {202, 429}},
    "setNoticeSms": {NOBODY: {401}, SELF: {202, 429}},
    # Without the code nobody proves an address: here it is asked whose it is.
    "confirmNoticeTarget": {NOBODY: {401}, STRANGER: {404}, SELF: {200}},
    "switchNoticeTarget": {NOBODY: {401}, STRANGER: {404}, SELF: {200}},
    "addPush": {NOBODY: {401}, SELF: {422}},
    "listLetters": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    "retryLetter": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "dropLetter": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "listPeople": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    # Nobody is added who has no name, no list that is none: here it is asked who may.
    "addPerson": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {422},
        CLERK: {403},
        MEMBER: {403},
    },
    "importPeople": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {415},
        CLERK: {403},
        MEMBER: {403},
    },
    "getBoard": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    # Asked of oneself: giving what is worn, taking the last administrator's hat.
    "giveHat": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {204},
        CLERK: {403},
        MEMBER: {403},
    },
    "takeHat": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {409},
        CLERK: {403},
        MEMBER: {403},
    },
    "takeBack": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {204},
        CLERK: {403},
        MEMBER: {403},
    },
    # Nobody takes away one's own.
    "resetFactors": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {403},
        CLERK: {403},
        MEMBER: {403},
    },
    "letGo": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {409},
        CLERK: {403},
        MEMBER: {403},
    },
    "getVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "openVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "visitTicket": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {201}, PATIENT: {201}},
    "visitReadings": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcg": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcgFrames": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "getNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "putNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "listRecords": {NOBODY: {401}, STRANGER: {200}},
    # Who treats the patient in a visit, or works beside who does, sees no record for it.
    "getRecord": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {200},
        GUARDIAN: {200},
        GLASS: {200},
        DOCTOR: {404},
    },
    # Asked without a reason: here it is asked who is asked for one.
    "breakGlass": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {422},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {403},
        CLERK: {403},
        MEMBER: {403},
    },
    "listBreakGlass": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    "reviewBreakGlass": {NOBODY: {401}, STRANGER: {404}, SELF: {404}, ADMINISTRATOR: {204}},
    "endBreakGlass": {NOBODY: {401}, STRANGER: {404}, SELF: {204}, ADMINISTRATOR: {204}},
    "listCards": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    # No cards, and a card that is not there: here it is asked who is asked for some.
    "issueCards": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {422},
        CLERK: {403},
        MEMBER: {403},
    },
    "revokeCard": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {204},
        CLERK: {403},
        MEMBER: {403},
    },
    # A clerk lets nobody in who works somewhere.
    "issueLink": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {201},
        CLERK: {201, 403},
        MEMBER: {403},
    },
    "listRecoveries": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {200},
        MEMBER: {403},
    },
    # There is no provider in the sweep: tests/api/test_api_oidc.py has one.
    "signInWays": {NOBODY: {200}, STRANGER: {200}},
    "startOutside": {NOBODY: {404}, STRANGER: {404}},
    "comeBack": {NOBODY: {303}, STRANGER: {303}},
    "finishOutside": {NOBODY: {404}, STRANGER: {404}},
    "listIdentities": {NOBODY: {401}, SELF: {200}},
    "startLinking": {NOBODY: {401}, SELF: {404}},
    "linkIdentity": {NOBODY: {401}, SELF: {404}},
    "unlinkIdentity": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "enter": {NOBODY: {404, 429}, STRANGER: {404, 429}},
    "setNewPassword": {NOBODY: {404, 429}, STRANGER: {404, 429}},
    "askForHelp": {NOBODY: {202, 429}, STRANGER: {202, 429}},
    "listConsents": {NOBODY: {401}, SELF: {200}},
    "giveConsent": {NOBODY: {401}, STRANGER: {404}},
    "getConsentText": {NOBODY: {401}, STRANGER: {404}, SELF: {200}},
    "withdrawConsent": {NOBODY: {401}, STRANGER: {404}, SELF: {200, 204}},
    "listConsentTexts": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    # Written over a version that is not there: here it is asked who may write.
    "publishConsentText": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {409},
        CLERK: {403},
        MEMBER: {403},
    },
    "showCode": {NOBODY: {401}, SELF: {201}},
    "scanCode": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {404, 429},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {403},
        CLERK: {403},
        MEMBER: {403},
    },
    "getScan": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}},
    "listShares": {NOBODY: {401}, SELF: {200}},
    "confirmShare": {NOBODY: {401}, STRANGER: {404}, SELF: {200, 409}},
    "refuseShare": {NOBODY: {401}, STRANGER: {404}, SELF: {200, 204, 409}},
    "endShare": {NOBODY: {401}, STRANGER: {404}, SELF: {200, 204, 409}},
    "getLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "openLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "lessonTicket": {NOBODY: {401}, STRANGER: {404}, TEACHER: {201}, PUPIL: {201}},
    "getLessonRoom": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "raiseHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {403, 409}, PUPIL: {204, 409}},
    "lowerHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {204, 409}},
    "lowerOtherHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {403}},
    "giveFloor": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 404, 409}, PUPIL: {403}},
    "takeFloor": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {204, 403, 409}},
    "listMessages": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "writeMessage": {NOBODY: {401}, STRANGER: {404}, TEACHER: {201, 409}, PUPIL: {201, 409}},
    "decideMessage": {NOBODY: {401}, STRANGER: {404}, TEACHER: {404, 409}, PUPIL: {403}},
    "holdChat": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204}, PUPIL: {403}},
    # Nothing that is no PDF is taken, whoever sends it; here it is asked who is asked for one.
    "addSlides": {NOBODY: {401}, STRANGER: {404}, TEACHER: {415}, PUPIL: {403}},
    "turnSlide": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {403}},
    "getSlides": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getSlide": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "record": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "recordingConsents": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getRecording": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getPlaylist": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getInitSegment": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getSegment": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getRecordingFile": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getRecordingVoice": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "whoLooked": {NOBODY: {401}, STRANGER: {404}, SELF: {200}, GUARDIAN: {200}},
    "readAudit": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    "exportAudit": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    "home": {NOBODY: {401}, SELF: {200}},
    "myFamily": {NOBODY: {401}, SELF: {200}},
    # A code of nobody, a guardianship that is not there: tests/people/test_guardians.py has others.
    "showGuardianCode": {NOBODY: {401}, SELF: {201, 409}},
    "askGuardianship": {NOBODY: {401}, STRANGER: {404, 429}},
    "confirmGuardianship": {NOBODY: {401}, STRANGER: {404}},
    "agreeGuardianship": {NOBODY: {401}, STRANGER: {404}},
    "shareHealth": {NOBODY: {401}, STRANGER: {404}},
    "endHealthShare": {NOBODY: {401}, STRANGER: {404}},
    "endGuardianship": {NOBODY: {401}, STRANGER: {404}},
    "getChild": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {404},
        GUARDIAN: {200},
        SCHOOL_GUARDIAN: {200},
    },
    # The health of a boy of fifteen is closed to his mother.
    "childVisits": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {404},
        GUARDIAN: {200},
        SCHOOL_GUARDIAN: {403},
    },
    "childLessons": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {404},
        GUARDIAN: {200},
        SCHOOL_GUARDIAN: {200},
    },
    "listAssistance": {NOBODY: {401}, SELF: {200}},
    # Whom it is about sees it, but does not act by it.
    "getAssistance": {NOBODY: {401}, STRANGER: {404}, CLERK: {200}, SELF: {403}},
    "addReadingFor": {NOBODY: {401}, STRANGER: {404}, CLERK: {201}, SELF: {403}},
    # Either side ends it, the first to come.
    "stopAssistance": {NOBODY: {401}, STRANGER: {404}, CLERK: {204, 404}, SELF: {204, 404}},
    "startAssistance": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {403},
        CLERK: {404, 429},
        MEMBER: {403},
    },
    "listGuardianships": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {200},
        CLERK: {403},
        MEMBER: {403},
    },
    # Of people and ties that are not there: here it is asked who may.
    "appointGuardian": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "confirmGuardianshipHere": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "endGuardianshipHere": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "limitGuardian": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    "liftLimit": {
        NOBODY: {401},
        STRANGER: {404},
        DUTY_DOCTOR: {403},
        DUTY_TEACHER: {403},
        ADMINISTRATOR: {404},
        CLERK: {403},
        MEMBER: {403},
    },
    # What ends things comes last.
    "endLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "closeVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "revokeDevice": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "removeNoticeTarget": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "endSession": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "signOut": {NOBODY: {401}, SELF: {204}},
}

# What is sent; a function is given the target's ids.
# Of no key to no question.
_ANSWER = {
    "credential_id": "eA==",
    "client_data": "e30=",
    "authenticator_data": "eA==",
    "signature": "eA==",
}
# Of an organisation's operations those that name one of its people, in the path or the body.
NAMES_PERSON = frozenset({"issueLink", "giveHat", "takeHat", "takeBack", "letGo", "resetFactors"})
# What an administrator is asked to do to himself: to others it would end what is asked later.
OF_ONESELF = frozenset({"giveHat", "takeHat", "takeBack", "letGo", "resetFactors"})

BODIES: dict[str, Any | Callable[[dict[str, str]], Any]] = {
    "signIn": {"login": "nobody.at.all", "password": "x"},
    "takeSecondStep": {"second_step": "x", "proof": {"way": "totp", "code": "000000"}},
    "askSecondPasskey": {"second_step": "x"},
    "signInByPasskey": _ANSWER,
    "beginAsFirstAdministrator": {
        "code": "first-x",
        "organisation_name": "x",
        "organisation_kind": "clinic",
        "given_name": "x",
        "family_name": "x",
        "login": "x",
        "password": "x",
    },
    "confirmTotp": {"code": "000000"},
    "addPasskey": {
        "name": "x",
        "credential_id": "eA==",
        "client_data": "e30=",
        "attestation": "eA==",
    },
    "changePassword": {"old": "x", "new": "x"},
    "stepUp": {"proof": {"way": "passkey", "answer": _ANSWER}},
    "updateMe": {"language": "en"},
    "putNote": {"text": "-", "version": 1},
    "addMyReading": {
        "kind": "spo2",
        "sequence": 1,
        "taken_at": datetime.now(UTC).isoformat(),
        "values": {"spo2": 97},
        "unit": "%",
    },
    "sendReadings": {"readings": []},
    "readNotices": {"at": datetime.now(UTC).isoformat()},
    "setQuietHours": {"quiet_from": "22:00", "quiet_until": "07:00"},
    "setNoticeMail": {"address": "somebody@example.org"},
    "setNoticeSms": {"address": "+79990000000"},
    "confirmNoticeTarget": {"code": "000000"},
    "switchNoticeTarget": {"active": True},
    "addPush": {"endpoint": "http://127.0.0.1/", "p256dh": "", "auth": ""},
    "breakGlass": {"reason": "-"},
    "reviewBreakGlass": {"justified": True},
    "issueCards": {"person_ids": []},
    "issueLink": lambda ids: {"person_id": ids["person_id"]},
    "enter": {"secret": "of-nobody"},
    "finishOutside": {"code": "-", "state": "-"},
    "linkIdentity": {"code": "-", "state": "-"},
    "setNewPassword": {"secret": "of-nobody", "password": "-"},
    "askForHelp": {"login_or_number": "nobody.at.all"},
    "giveConsent": {"organisation_id": str(uuid4()), "purpose": "data_processing", "version": 1},
    "publishConsentText": {
        "purpose": "data_processing",
        "after": 1_000_000,
        **dict.fromkeys(("ru", "tt", "en"), "-" * 20),
        "asks_again": False,
    },
    "showCode": {"purpose": "assist"},
    "scanCode": lambda ids: {
        "code": "of-nobody",
        "organisation_id": ids["organisation_id"],
        "fields": ["identity"],
    },
    "confirmShare": {"fields": ["identity"], "version": 1},
    "addPerson": {"given_name": "=", "family_name": "=", "role": "parent"},
    "askGuardianship": {"code": "of-nobody"},
    "shareHealth": {"until": datetime.now(UTC).isoformat()},
    "appointGuardian": {"guardian_id": str(uuid4()), "child_id": str(uuid4())},
    "limitGuardian": {"scope": "health", "paper": "-"},
    "startAssistance": lambda ids: {
        "code": "of-nobody",
        "organisation_id": ids["organisation_id"],
    },
    "addReadingFor": {
        "kind": "spo2",
        "sequence": 1,
        "taken_at": datetime.now(UTC).isoformat(),
        "values": {"spo2": 97},
        "unit": "%",
    },
    "giveFloor": {"person_id": str(uuid4()), "kinds": ["audio"]},
    "writeMessage": {"text": "-", "client_id": str(uuid4())},
    "decideMessage": {"state": "approved"},
    "holdChat": {"held": True},
    "turnSlide": {"page": 1},
    "record": {"on": False},
}
# What is asked for besides the path; {organisation_id} and its like are the target's ids.
QUERIES = {
    "whoLooked": "?person_id={person_id}",
    "addSlides": "?name=x.pdf",
    **dict.fromkeys(("readAudit", "exportAudit", "listPeople", "listCards"), "{query}"),
}
# Asked by its administrator about somebody who is not of the organisation, by this parameter:
# nobody is named, or there is no such person.
ASKS_ABOUT = {
    "readAudit": ("person_id", ADMINISTRATOR),
    "exportAudit": ("person_id", ADMINISTRATOR),
    "listPeople": ("after", STRANGER),
    "listCards": ("after", STRANGER),
}
# Operations of a lesson, by what else their path names.
OF_LESSON = frozenset(name for name, row in MATRIX.items() if TEACHER in row)
# Lists answer anybody with 200: here it counts whose things came back.
LISTS = frozenset({"myDay", "listDevices", "listSessions"})
# The thing is in an organisation or of a person, but the path does not say so: query or body does.
AT_ORGANISATION: frozenset[str] = frozenset({"scanCode", "startAssistance"})
OF_PERSON = frozenset({"whoLooked"})

# Acts that a route names and the sweep sees nobody judged by: what is asked for is found as one's own
# already, belongs to a device, or is not there for anybody (a code, a text, a tie).
UNJUDGED: dict[str, set[Act]] = {
    **{key: {Act.ACCOUNT} for key in ("me", "myDay", "signOut", "startLinking", "linkIdentity")},
    **{
        key: {Act.HOUSEHOLD}
        for key in (
            "confirmGuardianship",
            "agreeGuardianship",
            "endGuardianship",
            "shareHealth",
            "endHealthShare",
            "stopAssistance",
        )
    },
    "sendReadings": {Act.SEND_READINGS},
    "getScan": {Act.SCAN_QR},
    "giveConsent": {
        Act.CONSENT,
        Act.CONSENT_FOR_CHILD_HEALTH,
        Act.CONSENT_FOR_CHILD_SCHOOL,
    },
    "scanCode": {Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH},
    "showCode": {Act.CONSENT_FOR_CHILD_HEALTH},
}

Target = tuple[str, dict[str, str]]


def targets(region: Region, operation: str, path: str, person: str) -> Iterator[Target]:
    """What `person` is to each thing the operation can be asked of, and the path's parameters.

    Own, of others here, of other organisations, and one that is not there. A parameter that says
    nothing about whose the thing is gets a random id.
    """
    named = set(re.findall(r"{(\w+)", path))
    makers = {
        "visit_id": _visits,
        "lesson_id": _lessons,
        "organisation_id": _organisations,
        **{name: _own(name) for name in region.own},
        "person_id": _persons,
        "child_id": _persons,
    }
    asked_of = named | ({"organisation_id"} if operation in AT_ORGANISATION else set())
    asked_of |= {"person_id"} if operation in OF_PERSON else set()
    made_by = next((makers[name] for name in makers if name in asked_of), None)
    if made_by is None:
        # A random id is nobody's.
        relation = SELF if SELF in MATRIX.get(operation, {}) and not named else STRANGER
        yield relation, {name: str(uuid4()) for name in named}
        return
    if made_by is _organisations:
        made_by = _people_of_organisations if operation in NAMES_PERSON else made_by
        made_by = _cards_of_organisations if "card_id" in named else made_by
    for relation, ids in made_by(region, operation, person):
        yield relation, {name: str(uuid4()) for name in named} | ids


def _visits(region: Region, operation: str, person: str) -> Iterator[Target]:
    for visit in region.visits:
        relation = {visit["doctor_id"]: DOCTOR, visit["patient_id"]: PATIENT}.get(person, STRANGER)
        ids = {"visit_id": visit["id"]}
        # The visit's own stream first: in a stranger's shoes another's is the same question.
        yield relation, ids | {"stream_id": region.streams[visit["patient_id"]]}
        if operation == "visitEcgFrames":
            yield STRANGER, ids
            other = next(s for p, s in region.streams.items() if p != visit["patient_id"])
            yield STRANGER, ids | {"stream_id": other}
    yield STRANGER, {"visit_id": str(uuid4())}


def _lessons(region: Region, _: str, person: str) -> Iterator[Target]:
    for lesson in region.lessons:
        relation = PUPIL if person in region.classes[lesson["id"]] else STRANGER
        relation = TEACHER if lesson["teacher_id"] == person else relation
        below = {"deck_id": region.decks[lesson["id"]], "page": "1", "name": "0.m4s"}
        yield relation, {"lesson_id": lesson["id"]} | below
    yield STRANGER, {"lesson_id": str(uuid4()), "page": "1", "name": "0.m4s"}


def _organisations(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Every organisation, for some also about somebody of elsewhere; and one that is not there."""
    for place, members in region.places.items():
        relation = members.get(person, STRANGER)
        yield relation, {"organisation_id": place, "query": ""}
        if relation == ADMINISTRATOR and operation in ASKS_ABOUT:
            parameter, is_to = ASKS_ABOUT[operation]
            far = _far(region, members)
            ids = {"organisation_id": place, "far_id": far}
            yield is_to, ids | {"query": f"?{parameter}={far}"}
    yield STRANGER, {"organisation_id": str(uuid4()), "query": ""}


def _far(region: Region, members: Container[str]) -> str:
    """Somebody who is neither of an organisation nor guardian of who is."""
    near = (g for child, g in region.guardians.items() if child in members)
    families = {guardian for guardians in near for guardian in guardians}
    return next(p for p in region.everybody if p not in members and p not in families)


def _people_of_organisations(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Of every organisation one of its people; then, for who administers it, one of another."""
    hat = {"hat": "administration"}
    asking = {str(one["id"]) for one in region.persons}
    for place, members in region.places.items():
        relation = members.get(person, STRANGER)
        # Somebody who does not ask anything himself, wherever there is one.
        somebody = next((one for one in members if one not in asking), next(iter(members)))
        if operation in OF_ONESELF and relation == ADMINISTRATOR:
            somebody = person
        yield relation, hat | {"organisation_id": place, "person_id": somebody}
        if relation == ADMINISTRATOR:
            far = _far(region, members)
            yield STRANGER, hat | {"organisation_id": place, "person_id": far}
    yield STRANGER, hat | {"organisation_id": str(uuid4())}


def _cards_of_organisations(region: Region, _: str, person: str) -> Iterator[Target]:
    """A card of each organisation; then, for who administers it, one of another."""
    for place, card in region.cards.items():
        relation = region.places[place].get(person, STRANGER)
        yield relation, {"organisation_id": place, "card_id": card}
        if relation == ADMINISTRATOR:
            far = next(one for other, one in region.cards.items() if other != place)
            yield STRANGER, {"organisation_id": place, "card_id": far}


def _own(name: str) -> Callable[[Region, str, str], Iterator[Target]]:
    def things(region: Region, _: str, person: str) -> Iterator[Target]:
        for whose, one in region.own[name]:
            yield whose.get(person, STRANGER), {name: one, "whose": next(iter(whose))}
        yield STRANGER, {name: str(uuid4())}

    return things


def _persons(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Oneself, a child or a patient of one's own, children and patients of others, nobody."""
    mine = {one["patient_id"] for one in region.visits if one["doctor_id"] == person}
    others = [*region.guardians, *(one["patient_id"] for one in region.visits)]
    for one in dict.fromkeys([person, *others]):
        relation = STRANGER
        if person in region.guardians.get(one, ()):
            health = person in region.health.get(one, ())
            relation = GUARDIAN if health else SCHOOL_GUARDIAN
        elif operation == "getRecord" and person in region.glass.get(one, ()):
            relation = GLASS
        elif operation == "getRecord" and one in mine:
            relation = DOCTOR
        ids = {"person_id": one, "child_id": one} if one else {}
        yield SELF if one == person else relation, ids
    yield STRANGER, {}
