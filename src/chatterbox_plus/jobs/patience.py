"""A connection to PostgreSQL that does not wait for ever: a server that stands still never says that it does."""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

T = TypeVar("T")


class PatientConnection(psycopg.Connection[Any]):
    """Given up, and closed, when an answer takes longer than `patience_s`: psycopg.OperationalError."""

    patience_s = 5.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.info.transaction_status == TransactionStatus.ACTIVE:  # no answer came: it may come at any time
                self.close()
            raise


class VeryPatientConnection(PatientConnection):
    """For work that nobody waits for."""

    patience_s = 30.0
