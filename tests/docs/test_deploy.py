"""What can be checked of deploy/ without Docker, systemd or a proxy."""

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chatterbox_plus.api.access import PUBLIC
from chatterbox_plus.api.middleware import FORM_OVERHEAD_BYTES, MB
from chatterbox_plus.cli import COMMANDS, PROGRAM
from chatterbox_plus.settings import ENVIRONMENT, PREFIX, Settings, load
from tests.docs.pages import ROOT
from tests.live import LiveServer, free_port

DEPLOY = ROOT / "deploy"
DOCKERFILES = [DEPLOY / "Dockerfile", DEPLOY / "Dockerfile.cuda"]
DEFAULTS = Settings()
STOPPED_S = DEFAULTS.server.drain_seconds + 5  # by then it has stopped, or hangs
COMPOSE_KEYS = {
    "build", "cap_drop", "environment", "image", "init", "ports", "read_only", "restart", "security_opt",
    "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
"""Of https://github.com/compose-spec/compose-spec/blob/main/05-services.md, those that are used."""
Instructions = list[tuple[str, str]]


def instructions(dockerfile: Path) -> Instructions:
    text = re.sub(r"^#.*\n", "", dockerfile.read_text("utf-8"), flags=re.M).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def last_stage(dockerfile: Path) -> Instructions:
    found = instructions(dockerfile)
    begin = max(i for i, (word, _) in enumerate(found) if word == "FROM")
    return found[begin:]


def one(stage: Instructions, word: str) -> str:
    (value,) = (rest for found, rest in stage if found == word)
    return value


def environment(stage: Instructions) -> dict[str, str]:
    return dict(re.findall(r"(\S+?)=(\S+)", one(stage, "ENV")))


def health_check(stage: Instructions) -> list[str]:
    found: list[str] = json.loads(one(stage, "HEALTHCHECK").partition("CMD ")[2])
    return found


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_an_image_is_made_of_files_that_reach_the_builder(dockerfile: Path) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in instructions(dockerfile) if word == "COPY" and "--from" not in rest]
    assert copied
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert name in let_in


def test_an_image_runs_the_server_as_nobody_else_with_one_volume(dockerfile: Path) -> None:
    stage = last_stage(dockerfile)
    words = [word for word, _ in stage]
    user, folder = one(stage, "USER"), one(stage, "VOLUME")
    assert user not in ("root", "0")
    assert "RUN" not in words[words.index("USER") :]
    assert f"--user-group --home-dir {folder} --shell /usr/sbin/nologin {user}" in " ".join(rest for _, rest in stage)
    env = environment(stage)
    assert {name.removeprefix(PREFIX) for name in env if name.startswith(PREFIX)} <= set(ENVIRONMENT)
    settings, _ = load({**env, "CHATTERBOX_DATA_DIR": folder})
    assert env["CHATTERBOX_DATA_DIR"] == folder == one(stage, "WORKDIR")
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", int(one(stage, "EXPOSE")))
    assert json.loads(one(stage, "ENTRYPOINT")) == [PROGRAM]
    assert json.loads(one(stage, "CMD"))[0] in COMMANDS


def test_an_image_carries_nothing_that_builds_or_installs(dockerfile: Path) -> None:
    stage = " ".join(rest for word, rest in last_stage(dockerfile) if word == "RUN")
    assert not re.search(r"gcc|build-essential|-dev\b|pip install|curl|wget", stage)
    assert re.search(r"venv --without-pip|/bin/pip uninstall --yes pip$", dockerfile.read_text("utf-8"), re.M)


def test_the_health_check_knows_a_server_that_runs_from_one_that_does_not(dockerfile: Path, server: LiveServer) -> None:
    program, flag, code = health_check(last_stage(dockerfile))
    assert (program, flag) == ("python", "-c")
    (path,) = re.findall(r"\}(/[\w/]+)'", code)
    assert path in PUBLIC
    for port, status in ((server.url.rpartition(":")[2], 0), (str(free_port()), 1)):
        ran = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "CHATTERBOX_PORT": port}, stderr=subprocess.DEVNULL
        )
        assert ran.returncode == status


def test_compose_opens_the_server_to_this_machine_alone() -> None:
    tree = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    (service,) = tree["services"].values()
    assert set(tree) == {"services", "volumes"}
    assert set(service) <= COMPOSE_KEYS
    built = (DEPLOY / service["build"]["context"]).resolve()
    assert built == ROOT
    stage = last_stage(built / service["build"]["dockerfile"])
    port = one(stage, "EXPOSE")
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["volumes"] == [f"{next(iter(tree['volumes']))}:{one(stage, 'VOLUME')}"]
    assert service["read_only"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) >= STOPPED_S


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(DEPLOY / "chatterbox-plus.service", "utf-8")
    return parser


def test_the_unit_starts_the_server_in_the_folder_it_may_write() -> None:
    service = unit()["Service"]
    program, command = service["ExecStart"].split()
    assert program == f"/opt/{PROGRAM}/bin/{PROGRAM}"
    assert command in COMMANDS
    name, _, folder = service["Environment"].partition("=")
    assert name.removeprefix(PREFIX) in ENVIRONMENT
    assert folder == service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"


def test_the_unit_gives_requests_time_to_end_and_the_process_nothing_more() -> None:
    service = unit()["Service"]
    assert service["KillSignal"] == "SIGTERM"
    assert int(service["TimeoutStopSec"]) >= STOPPED_S
    for name in ("DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""


def test_the_proxies_let_through_what_the_server_takes() -> None:
    nginx, caddy = (DEPLOY / "nginx.conf").read_text("utf-8"), (DEPLOY / "Caddyfile").read_text("utf-8")
    needed = DEFAULTS.api.max_request_mb + FORM_OVERHEAD_BYTES / MB
    for size in (re.search(r"client_max_body_size (\d+)m;", nginx), re.search(r"max_size (\d+)MiB\n", caddy)):
        assert size
        assert int(size[1]) >= needed
    for text in (nginx, caddy):
        assert text.count("{") == text.count("}")
        assert f"127.0.0.1:{DEFAULTS.server.port}" in text
    for line in ("proxy_buffering off", "proxy_request_buffering off", "proxy_set_header Host $host"):
        assert f" {line};" in nginx
    waits = re.search(r"proxy_read_timeout (\d+)h;", nginx)
    assert waits
    assert int(waits[1]) * 3600 > DEFAULTS.api.request_timeout_seconds
