"""The caller's password and second factors, and step-up.

A session of somebody who has to make a second factor first reaches these (`enrolling`), the
account and sign-out, and nothing else.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from api.sign_in import factor_key, network_of, origin_of, renewed
from people import second_factors
from people.passkeys import KeyQuestion, MadeKey, NewKey
from people.passwords import PasswordChange, change_password
from people.policy import Act
from people.proofs import StepUp, ask_again, prove_again
from people.recovery_codes import RecoverySheet
from people.second_factors import Enrolled, Factors
from people.sessions import Caller
from people.totp import NewTotp, TotpCode


@get(
    "/factors",
    operation_id="myFactors",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401),
)
async def my_factors(
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Factors:
    """What the caller can prove himself with."""
    required = house.settings.staff_factor_required
    return await second_factors.my_factors(db, caller, now, required=required)


@post(
    "/factors/totp",
    operation_id="beginTotp",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401, 403, 409),
)
async def begin_totp(
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NewTotp:
    """A secret for an authenticator application; no factor before its first code."""
    return await second_factors.begin_totp(db, factor_key(house), caller, now)


@put(
    "/factors/totp",
    operation_id="confirmTotp",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(400, 401, 403, 413, 415),
)
async def confirm_totp(
    data: JSONBody[TotpCode],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Enrolled:
    """Make the application a second factor by its first code."""
    return await second_factors.confirm_totp(db, factor_key(house), caller, data.code, now)


@delete(
    "/factors/totp",
    operation_id="removeTotp",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404, 409),
)
async def remove_totp(
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take the application away."""
    required = house.settings.staff_factor_required
    await second_factors.remove_totp(db, caller, now, required=required)


@post(
    "/factors/passkeys/question",
    operation_id="beginPasskey",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401, 403, 409),
)
async def begin_passkey(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NewKey:
    """What the caller's device is asked for to make a passkey."""
    return await second_factors.begin_passkey(db, caller, origin_of(request, house), now)


@post(
    "/factors/passkeys",
    operation_id="addPasskey",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(400, 401, 403, 409, 413, 415),
)
async def add_passkey(
    data: JSONBody[MadeKey],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Enrolled:
    """Keep the passkey that the caller's device made."""
    return await second_factors.add_passkey(db, caller, data, now)


@delete(
    "/factors/passkeys/{key_id:uuid}",
    operation_id="removePasskey",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404, 409),
)
async def remove_passkey(
    key_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Forget one of the caller's passkeys."""
    required = house.settings.staff_factor_required
    await second_factors.remove_passkey(db, caller, key_id, now, required=required)


@post(
    "/factors/recovery-codes",
    operation_id="newRecoveryCodes",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404),
)
async def new_recovery_codes(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> RecoverySheet:
    """Ten new recovery codes; the old ones are worth nothing any more."""
    return await second_factors.new_recovery_codes(db, caller, now)


@put(
    "/password",
    operation_id="changePassword",
    status_code=204,
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(400, 401, 403, 409, 413, 415, 422, 429),
)
async def password(  # noqa: PLR0917 - called by name
    data: JSONBody[PasswordChange],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[None]:
    """Change the caller's own password; every other session of theirs ends."""
    session = await change_password(db, caller, data, network_of(request), now)
    return Response(None, cookies=[renewed(house, session, now)])


@post(
    "/step-up",
    operation_id="stepUp",
    status_code=204,
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(400, 401, 403, 413, 415, 429),
)
async def step_up(  # noqa: PLR0917 - called by name
    data: JSONBody[StepUp],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[None]:
    """Prove again who sits here; the session goes on under a new token."""
    key, network = factor_key(house), network_of(request)
    session = await prove_again(db, key, caller, data.proof, network, now)
    return Response(None, cookies=[renewed(house, session, now)])


@post(
    "/step-up/passkey",
    operation_id="askStepUpPasskey",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401, 403),
)
async def step_up_question(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> KeyQuestion:
    """What a passkey has to answer for a step-up."""
    return await ask_again(db, caller, origin_of(request, house), now)


ROUTES = [
    my_factors,
    begin_totp,
    confirm_totp,
    remove_totp,
    begin_passkey,
    add_passkey,
    remove_passkey,
    new_recovery_codes,
    password,
    step_up,
    step_up_question,
]
