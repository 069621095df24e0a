"""The people of an organisation and their hats, for its administrator."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import rosters
from people import hats, imports, lost_factors, people_list
from people.hats import Hat, Whose
from people.imports import Added, NewPerson
from people.people_list import PeopleHere, Which
from people.policy import Act
from people.sessions import Caller
from people.step_up import require_fresh

_PERSON = "/organisations/{organisation_id:uuid}/people/{person_id:uuid}"


@get(
    "/organisations/{organisation_id:uuid}/people",
    operation_id="listPeople",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404),
)
async def list_people(
    *,
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    which: FromQuery[Which] = "here",
    search: Annotated[str, QueryParameter(max_length=100)] = "",
    after: FromQuery[UUID | None] = None,
) -> PeopleHere:
    """People of the organisation by family name, 50 at a time."""
    found = await people_list.list_people(
        db, caller.actor, organisation_id, now, which=which, search=search, after=after
    )
    return await _with_classes(db, found)


@post(
    "/organisations/{organisation_id:uuid}/people",
    operation_id="addPerson",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def add_person(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewPerson],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Added:
    """Add one person, as a list of one row would."""
    require_fresh(caller, now)
    added, seats = await imports.add_person(db, caller.actor, organisation_id, data, now)
    pupils = {seat.person_id: seat.classes for seat in seats}
    await rosters.seat(db, caller.actor, organisation_id, pupils, now)
    return added


@put(
    _PERSON + "/hats/{hat:str}",
    operation_id="giveHat",
    status_code=204,
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409, 422),
)
async def give_hat(
    *,
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    hat: FromPath[Hat],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Give a hat; giving it twice is giving it."""
    await hats.give_hat(db, caller, Whose(organisation_id, person_id), hat, now)


@delete(
    _PERSON + "/hats/{hat:str}",
    operation_id="takeHat",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409),
)
async def take_hat(
    *,
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    hat: FromPath[Hat],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take a hat: rooms and reads that hang on it end at once."""
    await hats.take_hat(db, caller, Whose(organisation_id, person_id), hat, now)


@delete(
    _PERSON,
    operation_id="letGo",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404, 409),
)
async def let_go(
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End every right of a person here and every session; elsewhere the person stays."""
    await hats.let_go(db, caller, Whose(organisation_id, person_id), now)


@put(
    _PERSON,
    operation_id="takeBack",
    status_code=204,
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404),
)
async def take_back(
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take back a person who was let go; hats are given anew."""
    await hats.take_back(db, caller, Whose(organisation_id, person_id), now)


@post(
    _PERSON + "/reset-factors",
    operation_id="resetFactors",
    status_code=204,
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404, 409),
)
async def reset_factors(
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take away the lost second factors of a person who works nowhere else; sessions end."""
    await lost_factors.reset_factors(db, caller, Whose(organisation_id, person_id), now)


async def _with_classes(db: AsyncSession, found: PeopleHere) -> PeopleHere:
    """Name the classes of pupils: eschool knows them, people does not."""
    ids = {hat.class_id for one in found.people for hat in one.hats if hat.class_id}
    names = await rosters.class_names(db, ids)
    people = [
        msgspec.structs.replace(
            one,
            hats=[
                msgspec.structs.replace(hat, class_name=names.get(hat.class_id))
                if hat.class_id
                else hat
                for hat in one.hats
            ],
        )
        for one in found.people
    ]
    return msgspec.structs.replace(found, people=people)


ROUTES = [list_people, add_person, give_hat, take_hat, let_go, take_back, reset_factors]
