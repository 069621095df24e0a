"""Health tables are read through people/audit.py and in no other way: read off the source.

A function that names a health table inside `select(…)` or raw SQL must be a query (it returns a
Select for somebody who audits) or must hand it to `audit.read` itself. What is listed in
WRITE_PATH reads back what the same call writes, for the answer to its own sender or the next chunk.
"""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from people.audit import AuditReads
from telemed import tables

ROOT = Path(__file__).parents[2]
HEALTH = frozenset({"EcgChunks", "EcgFrames", "EcgStreams", "Readings", "VisitNotes"})
HEALTH_SQL = ("readings", "ecg_streams", "ecg_frames", "ecg_chunks", "visit_notes")
READERS = frozenset({"select", "get", "get_one", "exists"})
WRITE_PATH = frozenset(
    {
        ("telemed/readings.py", "_there"),  # a repeat is answered with the row that is there
        ("telemed/ecg.py", "open_stream"),  # a recorder is told how far it is stored
        ("telemed/ecg.py", "_lock"),
        ("telemed/ecg.py", "_chunked"),
        ("telemed/ecg.py", "_loose"),
        ("telemed/ecg_chunks.py", "due_streams"),  # the job moves bytes, nobody sees them
        ("telemed/ecg_chunks.py", "chunk_stream"),
    }
)


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
    """A new table of telemed is a health table unless it is the visit itself."""
    assert set(tables.__all__) - {"Visits"} == HEALTH
    assert {getattr(tables, name).__tablename__ for name in HEALTH} == set(HEALTH_SQL)
    assert AuditReads.__tablename__ not in HEALTH_SQL


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
