"""Every table of this room, so that one import fills the metadata."""

from people.assistance import Assistances
from people.audit import AuditActs, AuditReads, AuditRefusals
from people.audit_chain import AuditSeals, AuditUnsealed
from people.break_glass import BreakGlass
from people.call_minutes import CallMinutes
from people.cards import CardBrowsers, Cards
from people.closed_accounts import ClosedAccounts
from people.codes import Codes
from people.consent_texts import ConsentTexts
from people.consents import Consents
from people.device_tokens import Devices
from people.document_deliveries import DocumentDeliveries
from people.document_signing import DocumentNumbers
from people.documents import Documents, DocumentTexts, DocumentViews
from people.erasure import Erasures
from people.erasure_requests import ErasureAnswers, ErasureRequests
from people.files import Files
from people.first_administrator import FirstCodes
from people.guardians import GuardianLimits, Guardianships, HealthShares
from people.holds import LegalHolds
from people.identities import Identities, IdentityJourneys
from people.links import EntryLinks
from people.notice_targets import NoticeSettings, NoticesTold, NoticeTargets
from people.notices import Notices
from people.organisation_keys import OrganisationKeys
from people.organisations import Organisations
from people.passkeys import PasskeyChallenges, Passkeys
from people.passwords import Credentials
from people.persons import Persons
from people.recoveries import Recoveries
from people.recovery_codes import RecoveryCodes
from people.relations import Relations
from people.roster import RosterEntries
from people.second_steps import SecondSteps
from people.sessions import Sessions
from people.shares import Shares
from people.throttle import SignInFailures
from people.tickets import Tickets
from people.totp import TotpSecrets, TotpUsed
from storage.data_keys import DataKeys
from storage.dead_letters import JobFailures

__all__ = [
    "Assistances",
    "AuditActs",
    "AuditReads",
    "AuditRefusals",
    "AuditSeals",
    "AuditUnsealed",
    "BreakGlass",
    "CallMinutes",
    "CardBrowsers",
    "Cards",
    "ClosedAccounts",
    "Codes",
    "ConsentTexts",
    "Consents",
    "Credentials",
    "DataKeys",
    "Devices",
    "DocumentDeliveries",
    "DocumentNumbers",
    "DocumentTexts",
    "DocumentViews",
    "Documents",
    "EntryLinks",
    "ErasureAnswers",
    "ErasureRequests",
    "Erasures",
    "Files",
    "FirstCodes",
    "GuardianLimits",
    "Guardianships",
    "HealthShares",
    "Identities",
    "IdentityJourneys",
    "JobFailures",
    "LegalHolds",
    "NoticeSettings",
    "NoticeTargets",
    "Notices",
    "NoticesTold",
    "OrganisationKeys",
    "Organisations",
    "PasskeyChallenges",
    "Passkeys",
    "Persons",
    "Recoveries",
    "RecoveryCodes",
    "Relations",
    "RosterEntries",
    "SecondSteps",
    "Sessions",
    "Shares",
    "SignInFailures",
    "Tickets",
    "TotpSecrets",
    "TotpUsed",
]
