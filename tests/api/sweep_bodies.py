"""What is sent with the operations of tests/api/sweep.py: bodies and queries."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sweep import ADMINISTRATOR, STRANGER

# Of no key to no question.
_ANSWER = {
    "credential_id": "eA==",
    "client_data": "e30=",
    "authenticator_data": "eA==",
    "signature": "eA==",
}
# What is sent; a function is given the target's ids.
BODIES: dict[str, Any | Callable[[dict[str, str]], Any]] = {
    "addDevice": {"name": "Cuff", "kinds": ["blood_pressure"]},
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
    "attachEcgStrip": {
        "id": str(uuid4()),
        "from_us": 0,
        "until_us": 1_000_000,
        "speed_mm_s": 25,
        "gain_mm_mv": 10,
    },
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
    "verifyLine": {"line": "x.y"},
    "verifyFile": {"file": "eA=="},
    "draftDocument": {"content": {"kind": "conclusion", "text": "-"}},
    "changeDocument": {"content": {"kind": "certificate"}, "changes": 1_000_000},
    "signDocument": {"changes": 1_000_000},
    "revokeDocument": {"reason": "-"},
    "giveDocument": {"organisation_id": str(uuid4())},
    "answerDelivery": {"accepted": True},
    "breakGlass": {"reason": "-"},
    "erasePerson": {"person_id": str(uuid4()), "reason": "asked"},
    "askErasure": {"person_id": str(uuid4()), "reason": "asked"},
    "answerErasure": {"answer": "agreed"},
    "setHold": {"person_id": str(uuid4()), "reason": "-"},
    "reviewBreakGlass": {"justified": True},
    "issueCards": {"person_ids": []},
    "issueLink": lambda ids: {"person_id": ids["person_id"]},
    "enter": {"secret": "of-nobody"},
    "finishOutside": {"code": "-", "state": "-"},
    "linkIdentity": {"code": "-", "state": "-"},
    "setNewPassword": {"secret": "of-nobody", "password": "-"},
    "askForHelp": {"login_or_number": "nobody.at.all"},
    # After reading a version that nobody wrote: it is asked whose word is taken.
    "giveConsent": lambda ids: {
        "organisation_id": ids["organisation_id"],
        "person_id": ids["person_id"],
        "purpose": "data_processing",
        "version": 1_000_000,
    },
    "publishConsentText": {
        "purpose": "data_processing",
        "after": 1_000_000,
        **dict.fromkeys(("ru", "tt", "en"), "-" * 20),
        "asks_again": False,
    },
    "showCode": lambda ids: {"purpose": "assist", "person_id": ids["person_id"]},
    "scanCode": lambda ids: {
        "code": ids["code"],
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
        "code": ids["code"],
        "organisation_id": ids["organisation_id"],
    },
    "addReadingFor": {
        "kind": "spo2",
        "sequence": 1,
        "taken_at": datetime.now(UTC).isoformat(),
        "values": {"spo2": 97},
        "unit": "%",
    },
    "divideLesson": {"minutes": 5, "groups": [[str(uuid4())]]},
    "visitGroup": {"number": None},
    "giveFloor": {"person_id": str(uuid4()), "kinds": ["audio"]},
    "writeMessage": {"text": "-", "client_id": str(uuid4())},
    "decideMessage": {"state": "approved"},
    "holdChat": {"held": True},
    "turnSlide": {"page": 1},
    "record": {"on": False},
}
# What is asked for besides the path; {organisation_id} and its like are the target's ids.
_CHART = "?kind=spo2&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z"
QUERIES = {
    **dict.fromkeys(("documentFile", "deliveryFile"), "?form=json"),
    "whoLooked": "?person_id={person_id}",
    **dict.fromkeys(("visitChart", "recordChart"), _CHART),
    "addSlides": "?name=x.pdf",
    "issuedDocument": "?number=2026-000001",
    "visitEcgAnalysis": "?from_us=0&until_us=1000000",
    "addVisitFile": "?name=x.pdf",
    "addEcgFile": "?name=x.edf&sha256=" + "0" * 64,
    "convertEcgFile": "?form=edf",
    "storeReadingsFile": "?sha256=" + "0" * 64,
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
