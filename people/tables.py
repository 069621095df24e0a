"""Every table of this room, so that one import fills the metadata."""

from people.audit import AuditActs, AuditReads, AuditRefusals
from people.audit_chain import AuditSeals, AuditUnsealed
from people.device_tokens import Devices
from people.organisations import Organisations
from people.persons import Persons
from people.relations import Relations
from people.sessions import Sessions
from people.sign_in import Credentials, SignInFailures
from people.tickets import Tickets

__all__ = [
    "AuditActs",
    "AuditReads",
    "AuditRefusals",
    "AuditSeals",
    "AuditUnsealed",
    "Credentials",
    "Devices",
    "Organisations",
    "Persons",
    "Relations",
    "Sessions",
    "SignInFailures",
    "Tickets",
]
