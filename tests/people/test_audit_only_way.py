"""Health tables are read through people/audit.py and in no other way.

The database driver is never given another read; and what can be read off the source is told before
anything runs: a function that names a health table inside `select(…)` or raw SQL is a query (gives a
Select for somebody who audits) or hands it to `audit.read` itself. What is listed in
WRITE_PATH reads back what the same call writes, for the answer to its own sender or the next chunk.
"""

import ast
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Executable, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people import audit
from people.audit import UnauditedRead
from people.break_glass import BreakGlass
from people.documents import DocumentTexts
from people.files import Files
from people.policy import Act, Actor, Thing
from storage.engine import new_id
from telemed import tables
from telemed.ecg import streams_of
from telemed.notes import VisitNotes
from telemed.readings import Readings
from telemed.visits import Visits

ROOT = Path(__file__).parents[2]
HEALTH = frozenset(
    {
        "BreakGlass",
        "DocumentTexts",
        "EcgChunks",
        "EcgFrames",
        "EcgStreams",
        "EcgStrips",
        "Files",
        "ReadingDays",
        "ReadingHours",
        "ReadingKeys",
        "Readings",
        "VisitNotes",
    }
)
HEALTH_SQL = (
    "break_glass",
    "document_texts",
    "readings",
    "reading_keys",
    "reading_hours",
    "reading_days",
    "ecg_streams",
    "ecg_frames",
    "ecg_chunks",
    "ecg_strips",
    "visit_notes",
    "files",
)
READERS = frozenset({"select", "get", "get_one", "exists"})
WRITE_PATH = frozenset(
    {
        ("people/document_prints.py", "_texts"),  # the job prints, nobody sees it
        ("people/kept_files.py", "kept_files"),  # a drill counts and hashes, nobody sees them
        ("people/erasing.py", "forget"),  # deletes what is an erased person's
        ("people/erasing.py", "papers"),  # a job holds objects, nobody sees them
        ("telemed/retaining.py", "recordings"),
        ("people/erasing.py", "delete_prints"),  # a job deletes objects, nobody sees them
        ("people/health_retention.py", "over"),  # jobs compare days, nobody sees them
        ("people/health_retention.py", "_is_over"),
        ("people/files.py", "there"),  # a repeat is answered with the file that is there
        ("people/files.py", "require_room"),  # sums of bytes, for quotas
        ("people/keepers.py", "keepers_of"),  # which organisations, and since when: no more
        ("people/lost_files.py", "reconcile"),  # the job compares ids, nobody sees them
        ("people/lost_files.py", "_forget_erased"),
        ("storage/migrations/versions/2026_11_22_rollups.py", "upgrade"),  # a trigger is made
        ("storage/migrations/versions/2026_11_22_rollups.py", "downgrade"),  # rows go back
        ("telemed/reading_tables.py", "_with_trigger"),  # a trigger is made
        ("telemed/erasing.py", "forget"),  # deletes what is an erased person's
        ("telemed/erasing.py", "forget_measured"),
        ("telemed/retaining.py", "forget_record"),  # deletes what is past its time
        ("telemed/retaining.py", "delete_recordings"),
        ("telemed/months.py", "move_readings"),  # a job moves rows, nobody sees them
        ("telemed/stored_readings.py", "already_there"),  # a repeat is answered with its row
        ("telemed/demo_days.py", "_began"),  # the seed asks for one day, nobody sees it
        ("telemed/ecg.py", "open_stream"),  # a recorder is told how far it is stored
        ("telemed/ecg_runs.py", "store_runs"),  # how the streams stand that are written to
        ("telemed/ecg.py", "_chunked"),
        ("telemed/ecg.py", "_loose"),
        ("telemed/ecg_chunks.py", "due_streams"),  # the job moves bytes, nobody sees them
        ("telemed/ecg_chunks.py", "chunk_stream"),
        ("telemed/ecg_chunks.py", "seal_chunks"),
        ("telemed/ecg_chunks.py", "delete_plain_chunks"),
        ("telemed/ecg_chunks.py", "forget_plain_chunks"),  # deletes what is an erased person's
        ("telemed/ecg_strips.py", "_there"),  # a repeat is answered with the strip that is there
        ("telemed/ecg_strips.py", "attach"),  # how many there are
        ("telemed/notes.py", "seal_notes"),
    }
)
# What a write gives back of the row it has just written or deleted.
RETURNS = frozenset(
    {
        ("telemed/stored_readings.py", "insert"),
        ("telemed/ecg.py", "_insert"),
        ("telemed/ecg.py", "_advance"),  # counts what was stored
        ("telemed/ecg_chunks.py", "_swap"),
        ("telemed/notes.py", "put_note"),
    }
)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERSON = new_id()
VISIT = Visits(patient_id=PERSON, starts_at=NOW, ends_at=NOW, closed_at=None)
Renamed = aliased(Readings)
WAYS_AROUND: list[Executable] = [
    select(Readings),
    select(func.count()).select_from(Readings),
    select(Visits.id).join(Readings, Readings.person_id == Visits.patient_id),
    select(Visits.id).where(select(Readings.id).exists()),
    select(Renamed),
    streams_of(VISIT),
    select(Visits.id, select(VisitNotes.text).scalar_subquery()),
    delete(VisitNotes).returning(VisitNotes.text),
    update(VisitNotes).values(version=1).returning(VisitNotes.text),
    update(Visits).values(state=select(VisitNotes.text).scalar_subquery()),
    text("SELECT count(*) FROM READINGS"),
    text("WITH all_of AS (TABLE public.readings) DELETE FROM all_of"),
    text('UPDATE visits SET room = sent_unit FROM "readings"'),
    text("SELECT count(*) FROM readings_2026_03"),  # a month's own table
    text("COPY visit_notes TO STDOUT"),
    text("CREATE VIEW seen AS SELECT * FROM visit_notes"),
]


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def named(node: ast.AST) -> set[str]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def reads_health(node: ast.AST) -> bool:
    """True for `select(…Readings…)` and its like, and for raw SQL that selects from such a table."""
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        inside = set().union(*(named(one) for one in node.args), set())
        return called in READERS and bool(HEALTH & inside)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        words = node.value.lower().replace("\n", " ").split()
        return any(a in {"from", "join"} and b in HEALTH_SQL for a, b in pairwise(words))
    return False


def audited(function: ast.AST) -> bool:
    calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
    hands_over = any(ast.unparse(call.func) == "audit.read" for call in calls)
    returns = getattr(function, "returns", None)
    is_query = returns is not None and ast.unparse(returns).startswith("Select[")
    return hands_over or is_query


def offences(source: str, path: str) -> list[str]:
    tree = ast.parse(source)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    others = [n for n in tree.body if n not in functions]
    found = [
        f"{path}:{function.lineno} {function.name}"
        for function in functions
        if any(map(reads_health, ast.walk(function)))
        and not audited(function)
        and (path, function.name) not in WRITE_PATH
    ]
    return found + [
        f"{path}:{node.lineno}"
        for node in others
        if any(map(reads_health, ast.walk(node))) and not isinstance(node, ast.Expr)
    ]


def test_the_list_of_health_tables_is_whole() -> None:
    """A new table of telemed is one unless it is the visit itself; reasons and files are too."""
    others = {"BreakGlass": BreakGlass, "DocumentTexts": DocumentTexts, "Files": Files}
    assert set(tables.__all__) - {"Visits"} == HEALTH - others.keys()
    named = {(others.get(name) or getattr(tables, name)).__tablename__ for name in HEALTH}
    assert named == set(HEALTH_SQL)
    assert audit.health_tables() == set(HEALTH_SQL)


@pytest.mark.parametrize("room", ["telemed", "people", "eschool", "desk"])
def test_health_tables_are_read_through_audit_only(room: str) -> None:
    """In the rooms of the domain."""
    found = [
        one
        for path in sources(room)
        for one in offences(path.read_text(), str(path.relative_to(ROOT)))
    ]
    assert found == []


@pytest.mark.parametrize("room", ["api", "ops"])
def test_the_edge_names_no_health_table(room: str) -> None:
    """Not even to write."""
    found = [
        f"{path.name}: {sorted(HEALTH & named(tree))}"
        for path in sources(room)
        for tree in [ast.parse(path.read_text())]
        if HEALTH & named(tree) or any(map(reads_health, ast.walk(tree)))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f(db):\n    return await db.execute(select(Readings))",
        "async def f(db):\n    return await db.get(VisitNotes, 1)",
        "async def f(db):\n    return await db.execute(text('SELECT 1 FROM readings'))",
        "def f():\n    return exists().where(1 == 1), select(Visits.id, EcgFrames.frame)",
        "ALL = select(EcgChunks)",
    ],
)
def test_the_check_sees_a_way_around(source: str) -> None:
    """Each of these would read without a trace."""
    assert offences(source, "telemed/new.py") != []


def test_the_check_lets_an_audited_read_pass() -> None:
    """And a query that leaves the reading to its caller."""
    read = "async def f(db):\n    return await audit.read(db, a, select(Readings), p)"
    query = "def f() -> Select[Readings]:\n    return select(Readings)"
    assert offences(read, "telemed/new.py") == offences(query, "telemed/new.py") == []


@pytest.mark.parametrize("way", WAYS_AROUND, ids=lambda way: str(way)[:60])
async def test_the_database_is_never_asked_without_a_trace(
    db: AsyncSession, way: Executable
) -> None:
    """However the query was built, and whichever room lent it."""
    with pytest.raises(UnauditedRead):
        await db.execute(way)
    with pytest.raises(UnauditedRead):
        await (await db.connection()).execute(way)


async def test_a_row_is_not_given_by_its_key_either(db: AsyncSession) -> None:
    """`get` is a SELECT as well."""
    with pytest.raises(UnauditedRead):
        await db.get(VisitNotes, new_id())


async def test_one_audited_read_opens_nothing_for_the_next(db: AsyncSession) -> None:
    """Also in the same transaction and of the same query."""
    me = Actor(PERSON, ())
    purpose = audit.Purpose(Act.SEE_VISIT_READINGS, Thing(subject_id=PERSON), NOW)
    query = select(Readings.id)
    assert await audit.read(db, me, query, purpose) == []
    with pytest.raises(UnauditedRead):
        await db.execute(query)


async def test_a_write_that_gives_nothing_back_is_no_read(db: AsyncSession) -> None:
    """So devices may store, and rows may go."""
    await db.execute(delete(Readings).where(Readings.person_id == PERSON))
    await db.execute(update(VisitNotes).values(version=2).where(VisitNotes.visit_id == PERSON))
    assert not audit.reads_health(str(insert(VisitNotes)))
    assert not audit.reads_health("CREATE INDEX ix_readings_at ON readings (taken_at)")
    assert not audit.reads_health("SELECT name FROM devices")


def marked(tree: ast.AST, path: str) -> set[tuple[str, str]]:
    """Top-level functions that name a mark which lets a statement through."""
    return {
        (path, getattr(part, "name", f"line {part.lineno}"))
        for part in ast.iter_child_nodes(tree)
        if isinstance(part, ast.stmt) and names_mark(part)
    }


def names_mark(part: ast.AST) -> bool:
    words = {n.value for n in ast.walk(part) if isinstance(n, ast.Constant)}
    keys = {n.arg for n in ast.walk(part) if isinstance(n, ast.keyword)}
    return bool({"WRITE_PATH", "_AUDITED"} & named(part)) or "health_tables" in words | keys


def test_only_the_write_path_is_let_through_without_a_trace() -> None:
    """Each place is named here, and none of those named has gone."""
    found: set[tuple[str, str]] = set()
    for room in ("api", "ops", "telemed", "people", "eschool", "desk", "storage"):
        for path in sources(room):
            here = str(path.relative_to(ROOT))
            if here != "people/audit.py":
                found |= marked(ast.parse(path.read_text()), here)
    assert found == WRITE_PATH | RETURNS


def test_a_new_mark_is_seen() -> None:
    """By the option's own name too."""
    by_name = "async def f(db):\n    await db.execute(q, execution_options=audit.WRITE_PATH)"
    by_word = "async def f(db):\n    await db.execute(q.execution_options(health_tables=1))"
    in_dict = "OPTIONS = {'health_tables': 'audited'}"
    assert marked(ast.parse(by_name), "a.py") == {("a.py", "f")}
    assert marked(ast.parse(in_dict), "a.py") == {("a.py", "line 1")}
    assert marked(ast.parse(by_word), "a.py") == {("a.py", "f")}
