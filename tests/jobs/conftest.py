"""Databases of tasks for these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.tasks import TaskStore
from tests.jobs.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server_of_databases() -> Iterator[Postgres]:
    """One PostgreSQL for all tests that leave it running."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_setting(request: pytest.FixtureRequest) -> str:
    """`storage.database_url`: "" for SQLite, else an empty PostgreSQL database."""
    if request.param == "sqlite":
        return ""
    url: str = request.getfixturevalue("server_of_databases").database()
    return url


@pytest.fixture
def database(database_setting: str, tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url(database_setting, tmp_path))
    made.open()
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database, max_unfinished=2000)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
