"""A PostgreSQL of our own, from Debian's binaries: started in a folder, thrown away afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from tests.live import free_port
from tests.needs import missing

_numbers = count(1)
_SETTINGS = {
    "fsync": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


class Postgres:
    """A running server. `database` makes an empty database in it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/{name}"

    def database(self) -> str:
        """The URL of a new one."""
        name = f"tasks{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options += f" -p {self.port} -k {self.folder}"
        _run("pg_ctl", "-D", self.data, "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as a crash: connections break."""
        _run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def freeze(self) -> None:
        """All of its processes stand still: connections are taken, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def _signal(self, number: int) -> None:
        main = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            os.kill(pid, number)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """One that is ready. Skips the test where there are no binaries."""
    if not binaries():
        missing("PostgreSQL")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as name:  # short: of a socket
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _user())
        server = Postgres(folder, free_port())
        _run("initdb", "-D", server.data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@cache
def binaries() -> Path | None:
    """Where Debian puts them, the newest; elsewhere, wherever they are found."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).parent if elsewhere and os.name != "nt" else None


def _run(program: str, *words: str) -> None:
    where = binaries()
    assert where is not None
    user = _user() if os.geteuid() == 0 else None  # it refuses to run as root
    done = subprocess.run(
        [str(where / program), *words],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{program} failed: {done.stdout}"


@cache
def _user() -> str:
    import pwd

    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"
