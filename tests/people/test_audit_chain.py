"""The audit's chain on a real database: what is sealed, and what tampering by its owner leaves."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ops.audit import lines
from people import audit
from people.audit_chain import ANCHORS, BATCH, SOURCES, Keys, Sealer, record_name, rows_of
from people.audit_verify import (
    Finding,
    Report,
    Wrong,
    checkpoints_in,
    kept_checkpoints,
    verify,
)
from people.policy import Thing
from storage import chain
from storage.engine import new_id
from storage.objects import Objects

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLINIC = new_id()
UPDATE_ONE = "UPDATE $T SET {} = {} WHERE id = :row"


class House:
    """An engine, the sealer's keys, and rows of known ids in the order they were written."""

    def __init__(self, engine: AsyncEngine, objects: Objects, home: Path) -> None:
        self.engine = engine
        self.keys = Keys.of(home)
        self.sealer = Sealer(engine, objects, self.keys)
        self.rows: list[str] = []

    async def write(self, count: int) -> None:
        """Commit so many rows, acts and refusals in turn."""
        before = {row for _, row in await self.all_rows()}
        for number in range(count):
            async with AsyncSession(self.engine) as db, db.begin():
                thing = Thing(subject_id=uuid4(), organisation_id=CLINIC, about=(uuid4(),))
                if number % 2:
                    await audit.refused(db, uuid4(), "lead_lesson", thing, NOW, where="media")
                else:
                    details = {"number": str(number)}
                    await audit.acted(db, uuid4(), "card_issued", thing, NOW, details=details)
        new = [(row, name) for name, row in await self.all_rows() if row not in before]
        self.rows += [record_name(name, row) for row, name in sorted(new)]

    async def all_rows(self) -> list[tuple[str, UUID]]:
        """Every row there is."""
        async with self.engine.connect() as db:
            return [
                (name, row)
                for name, table in SOURCES.items()
                for row in await db.scalars(select(table.c.id))
            ]

    async def seal(self) -> None:
        """Until nothing waits."""
        while await self.sealer.seal(NOW):
            pass

    async def tamper(self, *statements: str, table: str = "", **values: object) -> None:
        """As the database's owner, who can switch triggers off. `$T` is the table."""
        tables = (*SOURCES, "audit_seals")
        async with self.engine.begin() as db:
            for one in tables:
                await db.execute(text(f"ALTER TABLE {one} DISABLE TRIGGER USER"))
            for statement in statements:
                done = await db.execute(text(statement.replace("$T", table)), values)
                assert done.rowcount, statement
            for one in tables:
                await db.execute(text(f"ALTER TABLE {one} ENABLE TRIGGER USER"))

    async def report(self) -> Report:
        """What a walk finds."""
        kept = kept_checkpoints(self.keys)
        async with self.engine.connect() as db:
            return await verify(db, self.keys, kept)

    async def first_wrong(self) -> Finding | None:
        """The first wrong row."""
        return (await self.report()).first_wrong

    def id_of(self, place: int) -> tuple[str, UUID]:
        """Table and id of the row at this place of the chain."""
        name, _, row = self.rows[place - 1].partition("/")
        return name, UUID(row)


@pytest.fixture
async def house(engine: AsyncEngine, objects: Objects, tmp_path: Path) -> House:
    """Nine sealed rows."""
    one = House(engine, objects, tmp_path)
    await one.write(9)
    await one.seal()
    return one


async def test_what_was_committed_is_sealed_in_order_and_the_chain_holds(house: House) -> None:
    report = await house.report()
    assert report.holds
    assert (report.links, report.waiting, report.first_wrong) == (9, 0, None)
    async with house.engine.connect() as db:
        query = "SELECT source, row_id FROM audit_seals ORDER BY sequence"
        sealed = [record_name(*row) for row in await db.execute(text(query))]
    assert sealed == house.rows


async def test_a_row_that_was_edited_is_named(house: House) -> None:
    name, row = house.id_of(5)
    await house.tamper(
        "UPDATE $T SET actor_id = :who WHERE id = :row", who=uuid4(), table=name, row=row
    )
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 5, house.rows[4])


@pytest.mark.parametrize("column", ["at", "act", "subject_id", "organisation_id", "about_id"])
async def test_no_column_can_be_edited_unseen(house: House, column: str) -> None:
    name, row = house.id_of(7)
    value = {"at": "at + interval '1 microsecond'", "act": "'card_revoked'"}.get(column, "NULL")
    await house.tamper(UPDATE_ONE.format(column, value), table=name, row=row)
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 7, house.rows[6])


async def test_details_can_not_be_edited_unseen(house: House) -> None:
    name, row = house.id_of(3)
    await house.tamper("UPDATE $T SET details = '{}' WHERE id = :row", table=name, row=row)
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 3, house.rows[2])


async def test_a_row_that_was_deleted_is_named(house: House) -> None:
    name, row = house.id_of(4)
    await house.tamper("DELETE FROM $T WHERE id = :row", table=name, row=row)
    assert await house.first_wrong() == Finding(Wrong.MISSING, 4, house.rows[3])


async def test_a_row_that_was_deleted_with_its_link_is_missed_at_its_place(house: House) -> None:
    """Closing the numbers up behind it does not help either: the next link does not fit."""
    name, row = house.id_of(4)
    await house.tamper(
        "DELETE FROM $T WHERE id = :row",
        "DELETE FROM audit_seals WHERE sequence = 4",
        table=name,
        row=row,
    )
    assert await house.first_wrong() == Finding(Wrong.CUT, 4, None)
    await house.tamper("UPDATE audit_seals SET sequence = sequence - 1 WHERE sequence > 4")
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 4, house.rows[4])


async def test_a_link_alone_that_was_deleted_is_missed_and_its_row_named(house: House) -> None:
    await house.tamper("DELETE FROM audit_seals WHERE sequence = 6")
    assert await house.first_wrong() == Finding(Wrong.CUT, 6, house.rows[5])


async def test_two_rows_that_were_swapped_are_named_by_the_first(house: House) -> None:
    (name, one), (_, other) = house.id_of(3), house.id_of(7)
    await house.tamper(
        "UPDATE $T SET id = :free WHERE id = :one",
        "UPDATE $T SET id = :one WHERE id = :other",
        "UPDATE $T SET id = :other WHERE id = :free",
        table=name,
        one=one,
        other=other,
        free=uuid4(),
    )
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 3, house.rows[2])


async def test_two_links_that_were_swapped_are_named_by_the_first(house: House) -> None:
    await house.tamper(
        "UPDATE audit_seals SET sequence = 100 WHERE sequence = 2",
        "UPDATE audit_seals SET sequence = 2 WHERE sequence = 8",
        "UPDATE audit_seals SET sequence = 8 WHERE sequence = 100",
    )
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 2, house.rows[7])


async def test_an_end_that_was_cut_off_is_found_where_it_was_cut(house: House) -> None:
    """Rows, links and queue are gone together: only the checkpoint outside remembers them."""
    await house.tamper(
        "CREATE TEMP TABLE cut ON COMMIT DROP AS SELECT * FROM audit_seals WHERE sequence > 6",
        "DELETE FROM audit_acts WHERE id IN (SELECT row_id FROM cut)",
        "DELETE FROM audit_refusals WHERE id IN (SELECT row_id FROM cut)",
        "DELETE FROM audit_seals WHERE sequence > 6",
    )
    assert await house.first_wrong() == Finding(Wrong.CUT, 7, None)


async def test_the_last_row_cut_off_is_named_by_the_checkpoint(house: House) -> None:
    name, row = house.id_of(9)
    await house.tamper(
        "DELETE FROM $T WHERE id = :row",
        "DELETE FROM audit_seals WHERE sequence = 9",
        table=name,
        row=row,
    )
    assert await house.first_wrong() == Finding(Wrong.CUT, 9, house.rows[8])


async def test_an_end_that_was_cut_off_is_never_grown_over(house: House) -> None:
    """The sealer goes on where its checkpoint was, so that the hole stays."""
    await house.tamper("DELETE FROM audit_seals WHERE sequence > 6")
    await house.write(2)
    await house.seal()
    found = await house.first_wrong()
    assert found == Finding(Wrong.CUT, 7, house.rows[6])
    async with house.engine.connect() as db:
        assert await db.scalar(text("SELECT max(sequence) FROM audit_seals")) == 11


async def test_everything_emptied_is_found(house: House) -> None:
    async with house.engine.begin() as db:
        tables = ("audit_acts", "audit_refusals", "audit_seals")
        for table in tables:
            await db.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER only_grows"))
        await db.execute(text(f"TRUNCATE {', '.join(tables)}"))
    assert await house.first_wrong() == Finding(Wrong.CUT, 1, None)


async def test_a_row_put_in_behind_the_queue_is_named(house: House) -> None:
    added = uuid4()
    await house.tamper(
        "INSERT INTO audit_acts (id, at, act, details) VALUES (:id, now(), 'x', '{}')", id=added
    )
    assert await house.first_wrong() == Finding(Wrong.UNSEALED, None, f"audit_acts/{added}")


async def test_a_link_made_with_another_key_does_not_fit(house: House) -> None:
    """Who edits a row and links it anew has to know the key."""
    forged = chain.link(bytes(32), chain.START, 1, b"anything")
    await house.tamper("UPDATE audit_seals SET mac = :mac WHERE sequence = 1", mac=forged)
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 1, house.rows[0])


async def test_a_link_of_another_history_does_not_fit(house: House) -> None:
    """The same row at the same place behind other rows, as in a copy that grew by itself."""
    name, row = house.id_of(5)
    async with house.engine.connect() as db:
        content = (await rows_of(db, [(name, row)]))[name, row]
    other = chain.link(house.keys.chain, chain.START, 5, content)
    await house.tamper("UPDATE audit_seals SET mac = :mac WHERE sequence = 5", mac=other)
    assert await house.first_wrong() == Finding(Wrong.CHANGED, 5, house.rows[4])


async def test_who_has_the_key_too_is_told_by_a_checkpoint(house: House) -> None:
    """The chain is whole in itself, but not what was signed when it was made."""
    name, row = house.id_of(9)
    await house.tamper("UPDATE $T SET act = 'other' WHERE id = :row", table=name, row=row)
    async with house.engine.connect() as db:
        content = (await rows_of(db, [(name, row)]))[name, row]
        before = await db.scalar(text("SELECT mac FROM audit_seals WHERE sequence = 8"))
    assert isinstance(before, bytes)
    mac = chain.link(house.keys.chain, before, 9, content)
    await house.tamper("UPDATE audit_seals SET mac = :mac WHERE sequence = 9", mac=mac)
    assert await house.first_wrong() == Finding(Wrong.REWRITTEN, 9, house.rows[8])


async def test_a_checkpoint_that_was_edited_or_removed_is_told(house: House) -> None:
    """Editing breaks its signature; without any, a cut end could not be seen, so that is wrong."""
    head = chain.read_head(house.keys.head)
    assert head is not None
    mark = msgspec.structs.replace(head.mark, sequence=6)
    chain.write_head(house.keys.head, msgspec.structs.replace(head, mark=mark))
    report = await house.report()
    assert (report.forged_checkpoints, report.holds) == (1, False)
    house.keys.head.unlink()
    report = await house.report()
    assert (report.unanchored, report.holds) == (True, False)


async def test_a_checkpoint_signed_by_somebody_else_is_not_believed(house: House) -> None:
    head = chain.read_head(house.keys.head)
    assert head is not None
    theirs = chain.sign(bytes(32), head.mark)
    assert chain.verifies(bytes.fromhex(theirs.public_key), theirs)
    kept = kept_checkpoints(house.keys, [chain.encode(theirs), b"not json"])
    assert (kept.forged, len(kept.by_sequence)) == (2, 1)


@pytest.mark.parametrize("table", ["audit_acts", "audit_reads", "audit_refusals", "audit_seals"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"], ids=str.split
)
async def test_the_database_itself_lets_the_audit_only_grow(
    house: House, table: str, statement: str
) -> None:
    column = "row_id" if table == "audit_seals" else "id"
    with pytest.raises(DBAPIError) as refused:
        async with house.engine.begin() as db:
            await db.execute(text(statement.format(table, column, column)))
    assert isinstance(refused.value.orig, InsufficientPrivilege)


async def test_what_is_rolled_back_is_never_sealed(house: House) -> None:
    async with AsyncSession(house.engine) as db:
        await audit.acted(db, uuid4(), "card_issued", Thing(), NOW)
        await db.rollback()
    await house.seal()
    assert (await house.report()).links == 9


async def test_a_row_that_commits_late_is_sealed_late(house: House) -> None:
    """Written before its neighbour and committed after: neither is left out."""
    async with AsyncSession(house.engine) as slow:
        await audit.acted(slow, uuid4(), "card_issued", Thing(), NOW)
        await house.write(1)
        await house.seal()
        assert (await house.report()).links == 10
        await slow.commit()
    report = await house.report()
    assert (report.waiting, report.holds) == (1, True)
    await house.seal()
    report = await house.report()
    assert (report.links, report.waiting, report.holds) == (11, 0, True)


async def test_two_sealers_make_one_chain(house: House, objects: Objects) -> None:
    await house.write(4)
    other = Sealer(house.engine, objects, house.keys)
    sealed = await asyncio.gather(*(one.seal(NOW) for one in [house.sealer, other] * 4))
    assert sum(sealed) == 4
    assert (await house.report()).holds


async def test_a_row_taken_away_while_it_waited_is_still_missed(house: House) -> None:
    """Its place in the queue tells of it."""
    await house.write(1)
    name, row = house.id_of(10)
    await house.tamper("DELETE FROM $T WHERE id = :row", table=name, row=row)
    await house.seal()
    assert await house.first_wrong() == Finding(Wrong.MISSING, 10, house.rows[9])


async def test_checkpoints_are_kept_once_an_hour_here_and_in_the_object_store(
    house: House, objects: Objects
) -> None:
    for key in await objects.keys(ANCHORS):
        await objects.delete(key)
    assert await house.sealer.anchor(NOW)
    assert not await house.sealer.anchor(NOW + timedelta(hours=2))  # nothing new to vouch for
    await house.write(1)
    await house.seal()
    assert not await house.sealer.anchor(NOW + timedelta(minutes=59))
    assert await house.sealer.anchor(NOW + timedelta(hours=1))
    assert [one.mark.sequence for one in chain.read_log(house.keys.log)] == [9, 10]
    others = await checkpoints_in(objects)
    house.keys.head.unlink()
    house.keys.log.unlink()
    kept = kept_checkpoints(house.keys, others)
    assert sorted(kept.by_sequence) == [9, 10]
    async with house.engine.connect() as db:
        assert (await verify(db, house.keys, kept)).holds


def test_a_batch_is_small_enough_for_one_statement() -> None:
    """PostgreSQL takes at most 65,535 parameters; a link has five."""
    assert BATCH * 5 < 65_535


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (dict[str, object](), "The audit is whole."),
        ({"waiting": 3}, "3 rows wait"),
        ({"first_wrong": Finding(Wrong.CHANGED, 5, "audit_acts/x")}, "number 5, audit_acts/x: it"),
        ({"first_wrong": Finding(Wrong.CUT, 7, None)}, "number 7: it has no link any more"),
        ({"forged_checkpoints": 1}, "not signed by this house"),
        ({"unanchored": True}, "No checkpoint was found"),
    ],
)
def test_the_operator_reads_a_sentence(report: dict[str, object], said: str) -> None:
    base = {"links": 9, "waiting": 0, "checkpoints": 1, "forged_checkpoints": 0}
    whole = msgspec.convert({**base, "unanchored": False, "first_wrong": None}, Report)
    one = msgspec.structs.replace(whole, **report)
    assert any(said in line for line in lines(one))
    assert ("The audit is whole." in lines(one)) is one.holds
