"""Real stores for every test that asks: PostgreSQL and SeaweedFS, started once for a pytest run.

They live in a temporary folder with ports of their own and are gone afterwards, also when pytest
itself is killed: they end when the pipe from this process closes.
"""

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import data_keys, migrate
from storage.engine import make_engine
from storage.objects import Objects
from storage.s3 import S3Objects
from storage.settings import Settings

ROOT = Path(__file__).parents[1]
# A database of a test's own is a copy of 800 files: in memory it is there five times sooner.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30


def pytest_collection_finish() -> None:
    """As the API does when it has loaded: what stays is looked through for garbage no more.

    In a run of hundreds of tests one such look stopped everything for more than a second.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        print("\nCI=true: a skipped test counts as failed.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def stores() -> Iterator[Settings]:
    """Settings of running stores; the database they name is empty."""
    home = tempfile.mkdtemp(prefix="yt-", dir=_short_folder())
    env = {name: value for name, value in os.environ.items() if not _ours(name)}
    env["YANASHA_HOME"] = home
    env["YANASHA_RTC_WORKERS"] = "1"  # a test that starts a media worker starts one
    settings = Settings.from_env(env)
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.stores", "--throw-away"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for pytest; its end closes the pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdout as output:
        lines = []
        for line in output:
            lines.append(line)
            if line == "ready\n":
                break
        else:
            pytest.fail("the stores did not start:\n" + "".join(lines))
        data_keys.unlock(settings.home)
        yield settings
        process.stdin.close()
        output.read()
        process.wait()


@pytest.fixture(scope="session")
def template_database(stores: Settings) -> str:
    """Name of a migrated database without rows; nobody stays connected to it."""
    _admin(stores, "CREATE DATABASE template_yanasha")
    migrate.upgrade(stores.embedded_database_url("template_yanasha"))
    return "template_yanasha"


@pytest.fixture
def database_url(stores: Settings, template_database: str) -> Iterator[str]:
    """A migrated database of this test's own, without rows; dropped afterwards."""
    with _copy(stores, template_database) as url:
        yield url


@pytest.fixture
def settings(stores: Settings, database_url: str) -> Settings:
    """Settings of the running stores with this test's own database."""
    return stores.with_database(database_url)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Engine on this test's own database: for code that commits."""
    engine = make_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def shared_database_url(stores: Settings, template_database: str) -> Iterator[str]:
    """A migrated database for all tests that leave nothing behind."""
    with _copy(stores, template_database) as url:
        yield url


@pytest.fixture
async def db(shared_database_url: str) -> AsyncIterator[AsyncSession]:
    """A session in an open transaction that is rolled back at the end."""
    engine = make_engine(shared_database_url)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await transaction.rollback()
    await engine.dispose()


@pytest.fixture
def objects(stores: Settings) -> Objects:
    """The object store; one bucket for the whole run, so choose keys of your own."""
    return S3Objects(stores)


@contextmanager
def _copy(stores: Settings, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _admin(stores, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield stores.embedded_database_url(name)
    _admin(stores, f"DROP DATABASE {name} WITH (FORCE)")


def _short_folder() -> Path:
    """Where the stores lie: in memory where there is room, else /tmp.

    Both are short: a unix socket's path is at most 107 bytes.
    """
    if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        return MEMORY
    return Path("/tmp")


def _admin(stores: Settings, statement: str) -> None:
    with psycopg.connect(stores.embedded_database_url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def _ours(name: str) -> bool:
    """Tell whether a variable of the caller's shell would change what the tests see."""
    return name.startswith(("YANASHA_", "S3_")) or name == "DATABASE_URL"
