"""Every table of this room, so that one import fills the metadata."""

from people.audit import AuditActs, AuditReads, AuditRefusals
from people.audit_chain import AuditSeals, AuditUnsealed
from people.cards import CardBrowsers, Cards
from people.device_tokens import Devices
from people.identities import Identities, IdentityJourneys
from people.links import EntryLinks
from people.notice_targets import NoticeSettings, NoticeTargets
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.recoveries import Recoveries
from people.relations import Relations
from people.sessions import Sessions
from people.sign_in import Credentials, SignInFailures
from people.tickets import Tickets
from storage.dead_letters import JobFailures

__all__ = [
    "AuditActs",
    "AuditReads",
    "AuditRefusals",
    "AuditSeals",
    "AuditUnsealed",
    "CardBrowsers",
    "Cards",
    "Credentials",
    "Devices",
    "EntryLinks",
    "Identities",
    "IdentityJourneys",
    "JobFailures",
    "NoticeSettings",
    "NoticeTargets",
    "Notices",
    "Organisations",
    "Persons",
    "Recoveries",
    "Relations",
    "Sessions",
    "SignInFailures",
    "Tickets",
]
