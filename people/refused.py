"""Refusals: named facts of the domain; the edge maps them to RFC 9457 problem documents.

Refused
├── NotSignedIn            401 not_signed_in
├── WrongLoginOrPassword   401 wrong_login_or_password   (keeps what was written: the count)
├── TooManyAttempts        429 too_many_attempts         params: retry_after_s
├── Forbidden              403 forbidden                 a forbidden act on a visible thing
├── NotFound               404 not_found                 absent, or somebody else's: no difference
├── OutOfRange             422 out_of_range              errors: the field, params: min, max
├── people.break_glass.AlreadyReviewed 409 already_reviewed
├── audit_reports.ExportTooLarge   422 export_too_large   params: most
├── people.roster_files.RosterRefused 422 roster_refused      errors: the file and why
├── people.imports.ImportHasBadRows   422 import_has_bad_rows errors: rows, params: count
├── people.imports.BadPerson          422 bad_person          errors: the field
├── people.imports.PossibleDouble     409 possible_double
├── people.hats.LastAdministrator     409 last_administrator
├── people.hats.LetGo                 409 let_go
├── people.hats.HatNotHere            422 hat_not_here
├── people.closed_accounts.AccountClosed  403 account_closed
├── people.step_up.StepUpNeeded            403 step_up_needed
├── people.step_up.EnrolmentNeeded         403 enrolment_needed
├── people.step_up.WrongProof              403 wrong_proof   (keeps what was written: the count)
├── people.proofs.SecondStepOver           401 second_step_over
├── people.passwords.WeakPassword          422 weak_password   errors: the field, what is wrong
├── people.passwords.NoPassword            409 no_password
├── people.passkeys.PasskeyRefused         403 passkey_refused   (keeps what was written)
├── people.passkeys.TooManyPasskeys        409 too_many_passkeys
├── people.device_tokens.BadDeviceName     422 bad_device_name, errors
├── people.device_tokens.TooManyDevices    409 too_many_devices   params: most
├── people.links.StaffElsewhere            409 staff_elsewhere
├── people.links.LinkLocked                403 link_locked   (keeps what was written: the lock)
├── people.totp.TotpThere                  409 totp_there
├── people.second_factors.LastFactor       409 last_factor
├── people.first_administrator.AdministratorThere  409 administrator_there
├── people.first_administrator.NameEmpty   422 name_empty
├── api.exports.ExportRunning         409 export_running
├── people.erasure.NotErasable        409 not_erasable   params: reasons
├── people.erasure_answers.ErasureAsked 409 erasure_asked
├── people.erasure_answers.NobodyToAsk  409 nobody_to_ask
├── people.erasure_answers.RequestOver  409 erasure_request_over
├── people.erasure_answers.BadAnswer    422 bad_answer   errors: why
├── people.holds.HoldInThePast        422 bad_time       errors: until
├── people.guardians.NotAChild        409 not_a_child
├── people.guardians.GuardianTooYoung 409 guardian_too_young
├── people.guardians.GuardianshipOver 409 guardianship_over   params: state
├── people.guardian_limits.NotYours   409 not_decided_alone
├── people.guardian_limits.BadTime    422 bad_time       errors: until
├── people.notice_settings.BadAddress    422 bad_address      errors: the field
├── people.notice_settings.BadTime       422 bad_time         errors: the field
├── people.notice_settings.AskedTooSoon  429 asked_too_soon   params: retry_after_s
├── people.notice_settings.WrongCode     422 wrong_code       (keeps what was written: the try)
├── people.files.FileRefused          422 file_…   errors: file (storage/file_checks/faults.py)
├── people.files.FileTooLarge         413 file_too_large   params: max_mb
├── people.files.FilesFull            409 files_full   params: whose
├── people.files.FileIdUsed           409 file_id_used
├── people.files.FileLost             410 file_lost
├── telemed.ecg_files.EcgFileRefused  422 ecg_file_…   errors: file; params: where
├── telemed.ecg_files.EcgFileChanged  409 ecg_file_changed
├── people.documents.BadDocument       422 bad_document      errors: the field
├── people.documents.DocumentErased    410 document_erased
├── people.documents.DocumentNotSigned 409 document_not_signed   params: state
├── people.document_drafts.DocumentNotDraft 409 document_not_draft
├── people.document_drafts.DocumentChanged  409 document_changed    params: changes
├── people.document_prints.DocumentPrinting 409 document_printing
├── people.document_outside.SignerAway      503 signer_away      params: retry_after_s
├── people.document_outside.SignatureUnfit  503 signature_unfit
├── people.document_deliveries.DeliveryAnswered 409 delivery_answered
├── people.document_deliveries.NoSchoolView 409 no_school_view
├── telemed.readings.BadReadings      422 bad_measurement, errors
├── telemed.readings.SequenceReused   409 sequence_reused
├── telemed.reading_files.ReadingsFileRefused 422 readings_file_…   errors: file; params: where
├── telemed.reading_files.ReadingsFileChanged 409 readings_file_changed
├── telemed.ecg.StreamReused          409 sequence_reused
├── telemed.ecg_trace.BadSpan        422 bad_ecg_span   errors: until_us
├── telemed.ecg_strips.StripEmpty    409 ecg_strip_empty
├── telemed.ecg_strips.StripsFull    409 ecg_strips_full   params: most
├── telemed.ecg_strips.StripIdUsed   409 ecg_strip_id_used
├── telemed.telemedicine.ConsentWithdrawn 403 consent_withdrawn
├── telemed.notes.NoteChanged         409 note_changed   params: text, version
├── eschool.chat.TooManyMessages      429 too_many_messages   params: retry_after_s
├── people.codes.CodeRefused          404 code_refused   (keeps what was written: the count)
├── people.consents.ConsentNotYours   403 consent_not_yours
├── people.consents.BadScope          422 bad_scope      errors: audience
├── people.consent_texts.ConsentTextChanged 409 consent_text_changed   params: version
├── people.shares.ShareNotAsked       409 share_not_asked   params: state
├── api.recordings.RecordingUnavailable 409 recording_unavailable
├── eschool.recording_consents.ConsentMissing 409 consent_missing   params: people
├── eschool.groups.LessonNotDivided  409 lesson_not_divided
├── eschool.groups.BadGroups         422 bad_groups
└── eschool.lessons.LessonNotRunning  409 lesson_not_running   params: state
"""

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import msgspec

if TYPE_CHECKING:  # policy.py raises what is here
    from people.policy import Act, Thing


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field of a body, as a code and the numbers the sentence needs."""

    field: str
    code: str
    params: dict[str, Any] = {}


class Refused(Exception):  # noqa: N818 - a refusal states a fact, it is not an error of ours
    """The domain says no. `code` is stable: the UI has a sentence for it in three languages."""

    status: ClassVar[int]
    code: ClassVar[str]
    # True when the transaction must be committed although the request is refused.
    keeps_writes: ClassVar[bool] = False

    def __init__(self, errors: tuple[FieldError, ...] = (), **params: Any) -> None:
        super().__init__(self.code)
        self.params = params
        self.errors = errors


class NotSignedIn(Refused):
    """No session, an ended one, a used ticket, an unknown device token."""

    status = 401
    code = "not_signed_in"


class WrongLoginOrPassword(Refused):
    """Never says which of the two. The failure counts, so its transaction must commit."""

    status = 401
    code = "wrong_login_or_password"
    keeps_writes = True


class TooManyAttempts(Refused):
    """Sign-in is throttled; `params["retry_after_s"]` goes to Retry-After."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s=retry_after_s)


class Forbidden(Refused):
    """The thing may be seen, the act is not allowed. Who tried what is for the audit only."""

    status = 403
    code = "forbidden"

    def __init__(
        self,
        act: "Act | None" = None,
        thing: "Thing | None" = None,
        actor_id: UUID | None = None,
    ) -> None:
        super().__init__()
        self.act = act
        self.thing = thing
        self.actor_id = actor_id


class NotFound(Refused):
    """Not there, or not for this person: nobody learns which."""

    status = 404
    code = "not_found"


class OutOfRange(Refused):
    """A number or the length of a text is outside what is allowed; the field names both ends."""

    status = 422
    code = "out_of_range"

    def __init__(self, field: str, low: int, high: int) -> None:
        super().__init__((FieldError(field, self.code, {"min": low, "max": high}),))
