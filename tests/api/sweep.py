"""What everybody may ask of every operation: the table.

A row is operation → what the caller is to the thing → the statuses that are right; a relation that
is not named is a stranger's. It is worked out from who is who in the seed, never by asking the
policy; tests/api/sweep_run.py asks it all. An operation without a row is a breach itself.

A new route adds its row to MATRIX here, its body to BODIES of tests/api/sweep_bodies.py, and is
done when its path names a visit, a lesson, an organisation, a person (or child), or a thing of one
person (see `targets` of tests/api/sweep_targets.py).
"""

from people.policy import Act

NOBODY, STRANGER, SELF = "nobody", "stranger", "self"
DOCTOR, PATIENT, TEACHER, PUPIL = "doctor", "patient", "teacher", "pupil"
# Of the person or child the path names: with a say in its health, or (grown, limited) without.
GUARDIAN, SCHOOL_GUARDIAN = "guardian", "guardian without health"
# Of the child of a tie that is not the caller's: a guardian as well.
OTHER = "other guardian"
# Of the patient the path names: a doctor who opened the record in an emergency.
GLASS = "glass"
# In the organisation that is named: who administers it, works there, sits at the desk, is there.
ADMINISTRATOR, CLERK, MEMBER = "administrator", "clerk", "member"
DUTY_DOCTOR, DUTY_TEACHER = "doctor on duty", "teacher on duty"

_FORBIDDEN = frozenset({403})


def at_desk(
    administrator: set[int],
    *,
    clerk: set[int] | frozenset[int] = _FORBIDDEN,
    doctor: set[int] | frozenset[int] = _FORBIDDEN,
) -> dict[str, set[int]]:
    """Give the row of what an organisation's desk does: refused to its others, unseen elsewhere."""
    return {
        NOBODY: {401},
        STRANGER: {404},
        ADMINISTRATOR: administrator,
        CLERK: {*clerk},
        DUTY_DOCTOR: {*doctor},
        DUTY_TEACHER: {403},
        MEMBER: {403},
    }


def _of_document(
    doctor: set[int], person: set[int] | frozenset[int] = _FORBIDDEN
) -> dict[str, set[int]]:
    """Give the row of a document: the doctor's hand, and what its person and guardians may."""
    row = {NOBODY: {401}, STRANGER: {404}, DOCTOR: doctor}
    return row | {SELF: {*person}, GUARDIAN: {*person}}


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
    "exportMyData": {NOBODY: {401}, SELF: {200}},
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
    "addDevice": {NOBODY: {401}, SELF: {201}},
    "addMyReading": {NOBODY: {401}, SELF: {200, 201}},
    # A file that is sent as if it were none: here it is asked whose it is.
    "previewReadingsFile": {NOBODY: {401}, SELF: {415}},
    "storeReadingsFile": {NOBODY: {401}, SELF: {415}},
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
    "listLetters": at_desk({200}),
    "retryLetter": at_desk({404}),
    "dropLetter": at_desk({404}),
    "listPeople": at_desk({200}),
    # Nobody is added who has no name, no list that is none: here it is asked who may.
    "addPerson": at_desk({422}),
    "importPeople": at_desk({415}),
    "getBoard": at_desk({200}),
    # Asked of oneself: giving what is worn, taking the last administrator's hat.
    "giveHat": at_desk({204}),
    "takeHat": at_desk({409}),
    "takeBack": at_desk({204}),
    # Nobody takes away one's own.
    "resetFactors": at_desk({403}),
    "letGo": at_desk({409}),
    "getVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "openVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "visitTicket": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {201}, PATIENT: {201}},
    "visitReadings": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitChart": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcg": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcgFrames": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcgAnalysis": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    # Of a stretch without a frame: here it is asked who is asked for one.
    "attachEcgStrip": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {409}, PATIENT: {403}},
    "listEcgStrips": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "ecgStripPicture": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "ecgStripSheet": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitCallTimeline": {
        NOBODY: {401},
        STRANGER: {404},
        DOCTOR: {200},
        PATIENT: {403},
        ADMINISTRATOR: {200},
    },
    "lessonCallTimeline": {
        NOBODY: {401},
        STRANGER: {404},
        TEACHER: {200},
        PUPIL: {403},
        ADMINISTRATOR: {200},
    },
    "getNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "putNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    # By an id that another file has: here it is asked who is asked for a file.
    "addVisitFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {409}, PATIENT: {409}},
    "listVisitFiles": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "getVisitFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "getVisitFilePreview": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    # Asked with no bytes, of a text, and of what is kept as an ECG and is none.
    "previewEcgFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {415}, PATIENT: {415}},
    "addEcgFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {409}, PATIENT: {409}},
    "getEcgFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {404}, PATIENT: {404}},
    "printEcgFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {422}, PATIENT: {422}},
    "convertEcgFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {422}, PATIENT: {422}},
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
    "fhirObservations": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {200},
        GUARDIAN: {200},
        GLASS: {200},
        DOCTOR: {404},
    },
    "recordChart": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {200},
        GUARDIAN: {200},
        GLASS: {200},
        DOCTOR: {404},
    },
    "listRecordEcgFiles": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {200},
        GUARDIAN: {200},
        GLASS: {200},
        DOCTOR: {404},
    },
    # Of a file that is not there: whose is shown in tests/api/test_api_ecg_files.py.
    **{
        name: {
            NOBODY: {401},
            STRANGER: {404},
            SELF: {404},
            GUARDIAN: {404},
            GLASS: {404},
            DOCTOR: {404},
        }
        for name in ("getRecordEcgFile", "printRecordEcgFile")
    },
    # Asked without a reason: here it is asked who is asked for one.
    "breakGlass": at_desk({403}, doctor={422}),
    "listBreakGlass": at_desk({200}),
    # Of nobody here: the body names somebody who is not, the path no hold there is.
    "erasePerson": at_desk({404}),
    "listErasures": at_desk({200}),
    "planErasure": at_desk({200}),
    "listErasureRequests": at_desk({200}),
    "askErasure": at_desk({404}),
    "answerErasure": at_desk({404}),
    "withdrawErasure": at_desk({404}),
    "listRetention": at_desk({200}),
    "setHold": at_desk({404}),
    "listHolds": at_desk({200}),
    "liftHold": at_desk({404}),
    "reviewBreakGlass": {NOBODY: {401}, STRANGER: {404}, SELF: {404}, ADMINISTRATOR: {204}},
    "endBreakGlass": {NOBODY: {401}, STRANGER: {404}, SELF: {204}, ADMINISTRATOR: {204}},
    "listCards": at_desk({200}),
    # No cards, and a card that is not there: here it is asked who is asked for some.
    "issueCards": at_desk({422}),
    "revokeCard": at_desk({204}),
    # A clerk lets nobody in who works somewhere.
    "issueLink": at_desk({201}, clerk={201, 403}),
    "listRecoveries": at_desk({200}, clerk={200}),
    # Whoever comes back did not set out: tests/api/test_api_oidc.py has others.
    "signInWays": {NOBODY: {200}, STRANGER: {200}},
    "startOutside": {NOBODY: {201, 429}, STRANGER: {201, 429}},
    "comeBack": {NOBODY: {303}, STRANGER: {303}},
    "finishOutside": {NOBODY: {403, 429}, STRANGER: {403, 429}},
    "listIdentities": {NOBODY: {401}, SELF: {200}},
    "startLinking": {NOBODY: {401}, SELF: {201}},
    "linkIdentity": {NOBODY: {401}, SELF: {403}},
    "unlinkIdentity": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "enter": {NOBODY: {404, 429}, STRANGER: {404, 429}},
    "setNewPassword": {NOBODY: {404, 429}, STRANGER: {404, 429}},
    "askForHelp": {NOBODY: {202, 429}, STRANGER: {202, 429}},
    "listConsents": {NOBODY: {401}, SELF: {200}},
    # Asked of one's own clinic or school, of a child's, and of those of others.
    "giveConsent": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {403, 404, 409},
        GUARDIAN: {403, 409},
        SCHOOL_GUARDIAN: {404, 409},
    },
    "getConsentText": {NOBODY: {401}, STRANGER: {404}, SELF: {200}},
    "withdrawConsent": {NOBODY: {401}, STRANGER: {404}, SELF: {200, 204}},
    "listConsentTexts": at_desk({200}),
    # Written over a version that is not there: here it is asked who may write.
    "publishConsentText": at_desk({409}),
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
    "divideLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 404, 409}, PUPIL: {403}},
    "callLessonBack": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {403}},
    "visitGroup": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
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
    "readAudit": at_desk({200}),
    "exportAudit": at_desk({200}),
    "home": {NOBODY: {401}, SELF: {200}},
    # Anybody who holds a paper asks; nobody is told more than that it is forged.
    "verifyLine": {NOBODY: {200, 429}, STRANGER: {200, 429}},
    "verifyFile": {NOBODY: {200, 429}, STRANGER: {200, 429}},
    "verifyKeys": {NOBODY: {200}, STRANGER: {200}},
    "visitDocuments": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "draftDocument": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {201}, PATIENT: {403}},
    "listDocuments": {NOBODY: {401}, STRANGER: {404}, SELF: {200}, GUARDIAN: {200}},
    # Drafts are the doctor's alone; what is signed the person and a guardian see as well. Nothing
    # is signed, changed or revoked here: it is asked who is asked for more.
    "getDocument": _of_document({200}, {200}),
    "changeDocument": _of_document({409}),
    "signDocument": _of_document({409}),
    # The clinic's administrator revokes what he does not see; here for no reason at all.
    "revokeDocument": _of_document({409, 422}) | {ADMINISTRATOR: {422}},
    "issuedDocument": at_desk({200}),
    "issuedDocuments": at_desk({200}),
    "nextDocumentVersion": _of_document({201, 409}),
    "documentFile": _of_document({200, 404}, {200}),
    "listDeliveries": _of_document({200}, {200}),
    # To a school that is not the person's; a small child does not decide.
    "giveDocument": _of_document({403}, {403, 404}),
    "receivedDocuments": at_desk({200}, clerk={200}),
    "deliveryFile": _of_document({404}, {404}) | {ADMINISTRATOR: {200}, CLERK: {200}},
    "answerDelivery": _of_document({403}, {204, 409})
    | {ADMINISTRATOR: {204, 409}, CLERK: {204, 409}},
    "myFamily": {NOBODY: {401}, SELF: {200}},
    "showGuardianCode": {NOBODY: {401}, SELF: {201, 409}},
    # A code of nobody: tests/people/test_guardians.py has others.
    "askGuardianship": {NOBODY: {401}, STRANGER: {404, 429}},
    # By a girl of thirteen, who does not decide alone yet.
    "shareHealth": {NOBODY: {401}, STRANGER: {404}, GUARDIAN: {403}, SELF: {409}},
    "endHealthShare": {NOBODY: {401}, STRANGER: {404}, GUARDIAN: {403}, SELF: {409}},
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
    # Whom it is about sees it, or whoever answers for a small child, but does not act by it.
    "getAssistance": {NOBODY: {401}, STRANGER: {404}, CLERK: {200}, SELF: {403}, GUARDIAN: {403}},
    "addReadingFor": {NOBODY: {401}, STRANGER: {404}, CLERK: {201}, SELF: {403}, GUARDIAN: {403}},
    # Either side ends it, the first to come; of a small child its guardian as well.
    "stopAssistance": {
        NOBODY: {401},
        STRANGER: {404},
        CLERK: {204, 404},
        SELF: {204, 404},
        GUARDIAN: {204, 404},
    },
    "listGuardianships": at_desk({200}),
    # Of people that are not there: here it is asked who may.
    "appointGuardian": at_desk({404}),
    "liftLimit": at_desk({404}),
    # What lets somebody in, and then what ends things, comes last.
    "limitGuardian": at_desk({201}),
    "confirmGuardianshipHere": at_desk({204}),
    # A child's code by its guardian, and one of nobody.
    "scanCode": at_desk({403}, doctor={201, 404, 429}),
    "startAssistance": at_desk({403}, clerk={201, 404, 429}),
    # Anew: the codes before it are worth nothing.
    "showCode": {
        NOBODY: {401},
        STRANGER: {404},
        SELF: {201},
        GUARDIAN: {201},
        SCHOOL_GUARDIAN: {404},
    },
    # The other guardian confirms what was asked; the child agrees to what was confirmed.
    "confirmGuardianship": {
        NOBODY: {401},
        STRANGER: {404},
        GUARDIAN: {403},
        OTHER: {204},
        SELF: {403},
    },
    "agreeGuardianship": {
        NOBODY: {401},
        STRANGER: {404},
        GUARDIAN: {403},
        OTHER: {403},
        SELF: {204},
    },
    # What lives the guardian gives up alone; what was only asked the child refuses.
    "endGuardianship": {
        NOBODY: {401},
        STRANGER: {404},
        GUARDIAN: {204},
        OTHER: {403},
        SELF: {204, 403},
    },
    "endGuardianshipHere": at_desk({204}),
    "removeVisitFile": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {403}, PATIENT: {204}},
    "discardDocument": _of_document({204, 409}),
    "endLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "closeVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "revokeDevice": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "removeNoticeTarget": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "endSession": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "signOut": {NOBODY: {401}, SELF: {204}},
}

# Of an organisation's operations those that name one of its people, in the path or the body.
NAMES_PERSON = frozenset(
    {"issueLink", "giveHat", "takeHat", "takeBack", "letGo", "resetFactors", "planErasure"}
)
# What an administrator is asked to do to himself: to others it would end what is asked later.
OF_ONESELF = frozenset({"giveHat", "takeHat", "takeBack", "letGo", "resetFactors"})

# Operations of a lesson, by what else their path names.
OF_LESSON = frozenset(name for name, row in MATRIX.items() if TEACHER in row)
# Lists answer anybody with 200: here it counts whose things came back.
LISTS = frozenset({"myDay", "listDevices", "listSessions"})
# The thing is in an organisation or of a person, but the path does not say so: query or body does.
AT_ORGANISATION: frozenset[str] = frozenset({"scanCode", "startAssistance"})
OF_PERSON = frozenset({"whoLooked", "showCode"})
# A word for somebody to an organisation: both are in the body.
OF_BOTH = frozenset({"giveConsent"})
# Takes a code of this purpose, which a guardian showed for a child.
TAKES_CODE = {"scanCode": "share_profile", "startAssistance": "assist"}

# Acts that a route names and the sweep sees nobody judged by, because the session is the judgement:
# what is given or ended belongs to whoever asks, and to nobody else by any way of asking.
UNJUDGED: dict[str, set[Act]] = {
    # Name and roles of the session's own person; there is no parameter.
    "me": {Act.ACCOUNT},
    # The caller's own visits and lessons; each of them is judged by its own act.
    "myDay": {Act.ACCOUNT},
    # Ends the session that asks, found by its cookie.
    "signOut": {Act.ACCOUNT},
}
