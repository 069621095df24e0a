"""Consents: what is asked of the caller and his children, given and taken back; texts."""

from datetime import datetime
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import consent_texts, consents, consents_shown
from people.consent_texts import ConsentText, NewText, PublishedText
from people.consents import Consent, NewConsent
from people.consents_shown import ConsentsOf
from people.policy import Act
from people.sessions import Caller

_TEXTS = "/organisations/{organisation_id:uuid}/consent-texts"


@get(
    "/consents",
    operation_id="listConsents",
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH, Act.CONSENT_FOR_CHILD_SCHOOL),
    responses=refuses(401),
)
async def list_consents(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[ConsentsOf]:
    """What is asked of the caller, then of each child he speaks for."""
    return await consents_shown.my_consents(db, caller.actor, now)


@post(
    "/consents",
    operation_id="giveConsent",
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH, Act.CONSENT_FOR_CHILD_SCHOOL),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def give_consent(
    data: JSONBody[NewConsent],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Consent:
    """Give one's word after reading that version of the text; it counts at once."""
    return await consents.give(db, caller.actor, data, now)


@post(
    "/consents/{consent_id:uuid}/withdraw",
    operation_id="withdrawConsent",
    status_code=200,
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH, Act.CONSENT_FOR_CHILD_SCHOOL),
    responses=refuses(401, 403, 404),
)
async def withdraw_consent(
    consent_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Consent:
    """Take a word back; it counts no more at once. Taking back twice is taking back."""
    return await consents.withdraw(db, caller.actor, consent_id, now)


@get(
    "/consents/{consent_id:uuid}/text",
    operation_id="getConsentText",
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH, Act.CONSENT_FOR_CHILD_SCHOOL),
    responses=refuses(401, 404),
)
async def get_consent_text(
    consent_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ConsentText:
    """The text that was agreed to, as it was then."""
    return await consents.text_of(db, caller.actor, consent_id, now)


@get(
    _TEXTS,
    operation_id="listConsentTexts",
    act=Act.MANAGE_CONSENT_TEXTS,
    responses=refuses(401, 403, 404),
)
async def list_consent_texts(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[PublishedText]:
    """Every version of what the organisation asks for, the newest of each purpose first."""
    return await consent_texts.list_texts(db, caller.actor, organisation_id, now)


@post(
    _TEXTS,
    operation_id="publishConsentText",
    act=Act.MANAGE_CONSENT_TEXTS,
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def publish_consent_text(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewText],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> PublishedText:
    """Publish the next version; who agreed to an earlier one is asked again only if it says so."""
    return await consent_texts.publish(db, caller.actor, organisation_id, data, now)


ROUTES = [
    list_consents,
    give_consent,
    withdraw_consent,
    get_consent_text,
    list_consent_texts,
    publish_consent_text,
]
