"""Settings are read once, strictly: the file, the environment, the flags, and an error that names what is wrong."""

import re
from pathlib import Path

import pytest
import yaml

import chatterbox_plus
from chatterbox_plus.errors import SettingsError
from chatterbox_plus.settings import ENVIRONMENT, WITHOUT_EFFECT, Server, Settings, keys, load

EXAMPLE = Path(__file__).parents[1] / "config.example.yaml"


def config(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def flat(tree: dict[str, object], above: str = "") -> list[str]:
    found: list[str] = []
    for key, value in tree.items():
        found += flat(value, f"{above}{key}.") if isinstance(value, dict) and value else [f"{above}{key}"]
    return found


def test_the_example_file_shows_every_key_in_order_with_its_default() -> None:
    tree = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert flat(tree) == list(keys())
    assert Settings.model_validate(tree) == Settings()


def test_the_example_file_names_every_variable_beside_its_key() -> None:
    shown = dict(re.findall(r"^\s+(\w+):.*?# CHATTERBOX_(\w+)", EXAMPLE.read_text(encoding="utf-8"), re.M))
    assert {key: name for name, (_, key) in ENVIRONMENT.items()} == shown
    assert "CHATTERBOX_CONFIG" in EXAMPLE.read_text(encoding="utf-8")


def test_the_example_file_marks_the_keys_without_effect() -> None:
    above: list[str] = []
    marked: dict[str, set[str]] = {"no effect": set()}
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"( *)(\w+):", line):
            above = [*above[: len(found[1]) // 2], found[2]]
            mark = "no effect" in line
            if mark or above[:-1] == ["audio"]:
                marked["no effect"].add(".".join(above))
    assert marked == {"no effect": WITHOUT_EFFECT}


def test_every_key_that_is_said_to_have_an_effect_is_read_somewhere() -> None:
    package = Path(chatterbox_plus.__file__).parent
    code = "\n".join(p.read_text(encoding="utf-8") for p in package.rglob("*.py") if p.name != "settings.py")
    unread = {key for key in keys() if not re.search(rf"\.{key.rpartition('.')[2]}\b", code)}
    assert unread <= WITHOUT_EFFECT


def test_loading_the_example_file_warns_of_nothing(tmp_path: Path) -> None:
    _, warnings = load({"CHATTERBOX_CONFIG": str(EXAMPLE)}, cwd=tmp_path)
    assert warnings == []


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config(tmp_path, "server: {port: 1, host: 1.1.1.1, log_level: error}\nmodels: {workers: 7}")
    env = {"CHATTERBOX_PORT": "2", "CHATTERBOX_HOST": "2.2.2.2"}
    settings, _ = load(env, {"PORT": 3, "HOST": None}, cwd=tmp_path)
    assert (settings.server.port, settings.server.host) == (3, "2.2.2.2")
    assert (settings.server.log_level, settings.models.workers) == ("error", 7)


def test_without_a_file_all_is_default_but_the_data_folder_absolute(tmp_path: Path) -> None:
    settings, warnings = load({}, cwd=tmp_path)
    assert settings.paths.data_dir == tmp_path / "data"
    assert (settings.server, settings.api, warnings) == (Settings().server, Settings().api, [])


def test_a_data_folder_is_relative_to_where_the_program_starts_not_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    config(tmp_path / "etc", "paths: {data_dir: sounds}")
    settings, _ = load({"CHATTERBOX_CONFIG": "etc/config.yaml"}, cwd=tmp_path)
    assert settings.paths.data_dir == tmp_path / "sounds"


def test_an_absolute_folder_stays_where_it_is(tmp_path: Path) -> None:
    settings, _ = load({"CHATTERBOX_DATA_DIR": str(tmp_path / "a"), "CHATTERBOX_OUTPUT_DIR": str(tmp_path / "b")})
    assert settings.paths.data_dir == tmp_path / "a"
    assert settings.paths.under_data(settings.paths.output_dir) == tmp_path / "b"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_not_set(tmp_path: Path, value: str) -> None:
    settings, _ = load({"CHATTERBOX_PORT": value, "CHATTERBOX_CONFIG": value}, cwd=tmp_path)
    assert settings.server.port == 7860


@pytest.mark.parametrize(
    "word, meaning",
    [("true", True), ("1", True), ("YES", True), ("on", True), ("false", False), ("0", False), ("off", False)],
)
def test_a_boolean_variable_reads_as(tmp_path: Path, word: str, meaning: bool) -> None:
    settings, _ = load({"CHATTERBOX_ALLOW_PRIVATE_HOSTS": word, "CHATTERBOX_KEEP_OPENAI_OUTPUTS": word}, cwd=tmp_path)
    assert settings.api.allow_private_hosts is meaning
    assert settings.api.keep_openai_outputs is meaning


def test_a_list_variable_is_comma_separated_and_trimmed(tmp_path: Path) -> None:
    settings, _ = load({"CHATTERBOX_CORS_ORIGINS": " https://a.example, https://b.example ,"}, cwd=tmp_path)
    assert settings.api.cors_origins == ("https://a.example", "https://b.example")


def test_every_variable_leads_to_a_key_that_exists() -> None:
    assert {".".join(place) for place in ENVIRONMENT.values()} <= set(keys())


def test_other_programs_variables_are_not_looked_at(tmp_path: Path) -> None:
    load({"PORT": "x", "CHATTER_PORT": "y"}, cwd=tmp_path)


WRONG_VARIABLES = [
    ("CHATTERBOX_PROT=1", "unknown setting CHATTERBOX_PROT; did you mean CHATTERBOX_PORT?"),
    ("CHATTERBOX_XYZZY=1", "unknown setting CHATTERBOX_XYZZY"),
    ("CHATTERBOX_PORT=99999", "CHATTERBOX_PORT: should be less than or equal to 65535, not '99999'"),
    ("CHATTERBOX_PORT=web", "CHATTERBOX_PORT: "),
    ("CHATTERBOX_WORKERS=0", "CHATTERBOX_WORKERS: should be greater than or equal to 1, not '0'"),
    ("CHATTERBOX_MAX_AUDIO_S=nan", "CHATTERBOX_MAX_AUDIO_S: "),
    ("CHATTERBOX_API_KEY_REQUIRED=maybe", "CHATTERBOX_API_KEY_REQUIRED: should be a valid boolean"),
    ("CHATTERBOX_LOG_LEVEL=loud", "CHATTERBOX_LOG_LEVEL: should be 'debug', 'info'"),
    ("CHATTERBOX_CONFIG=nowhere.yaml", "there is no configuration file nowhere.yaml"),
]


@pytest.mark.parametrize("assignment, message", WRONG_VARIABLES)
def test_a_wrong_variable_is_named(tmp_path: Path, assignment: str, message: str) -> None:
    name, _, value = assignment.partition("=")
    with pytest.raises(SettingsError) as error:
        load({name: value}, cwd=tmp_path)
    assert error.value.message.startswith(message)


WRONG_FILES = [
    ("serve: {}", "unknown setting serve; did you mean server?"),
    ("port: 80", "unknown setting port; did you mean server.port?"),
    ("server: {prot: 80}", "unknown setting server.prot; did you mean server.port?"),
    ("api: {log_level: info}", "unknown setting api.log_level; did you mean server.log_level?"),
    ("server: 80", "server: "),
    ("server: {port: [1]}", "server.port: "),
    ("resource_management: {cleanup: {temp_dir_max_files: -1}}", "resource_management.cleanup.temp_dir_max_files: "),
    (
        "tts_defaults: {temprature: 1}",
        "unknown setting tts_defaults.temprature; did you mean tts_defaults.temperature?",
    ),
    ("tts_defaults: {temperature: 9}", "tts_defaults.temperature: should be less than or equal to 2, not 9"),
    ("tts_defaults: {text: hello}", "unknown setting tts_defaults.text"),
    ("vc_defaults: {chunk_sec: 1, overlap_sec: 2}", "vc_defaults: overlap_sec must be smaller than chunk_sec"),
    ("- server", "config.yaml must be a mapping of sections"),
    ("server: {port: 1", "config.yaml is not valid YAML (line 1, column 17)"),
    ("api: {}\nserver: {}\napi: {}", "config.yaml is not valid YAML (line 3, column 1): api stands there twice"),
    ("? [a]\n: b", "config.yaml is not valid YAML"),
    ("!!python/object:os.system {}", "config.yaml is not valid YAML"),
]


@pytest.mark.parametrize("text, message", WRONG_FILES)
def test_a_wrong_file_is_told_where(tmp_path: Path, text: str, message: str) -> None:
    config(tmp_path, text)
    with pytest.raises(SettingsError) as error:
        load({}, cwd=tmp_path)
    assert error.value.message.startswith(message)
    assert str(tmp_path) not in error.value.message


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"config\.yaml is not UTF-8 text"):
        load({}, cwd=tmp_path)


def test_a_section_with_every_line_commented_out_says_nothing(tmp_path: Path) -> None:
    config(tmp_path, "server:\n#  port: 1\ntts_defaults:\n")
    settings, _ = load({"CHATTERBOX_PORT": "5"}, cwd=tmp_path)
    assert settings.server.port == 5


def test_a_secret_is_never_quoted(tmp_path: Path) -> None:
    config(tmp_path, "api: {webhook_secret: 12345}")
    with pytest.raises(SettingsError) as error:
        load({}, cwd=tmp_path)
    assert "12345" not in error.value.message
    assert "12345" not in repr(Settings.model_validate({"api": {"webhook_secret": "12345"}}))


def test_a_key_without_effect_is_accepted_and_warned_of_when_it_asks_for_a_change(tmp_path: Path) -> None:
    config(tmp_path, "server: {reload: true}\nspeed_factor: {preferred_library: audiostretchy, min_speed_factor: 0.5}")
    _, warnings = load(
        {
            "CHATTERBOX_DEBUG": "1",
        },
        cwd=tmp_path,
    )
    assert warnings == [
        "CHATTERBOX_DEBUG has no effect",
        "server.reload has no effect",
        "speed_factor.preferred_library has no effect",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "::ffff:127.0.0.1"])
def test_only_this_machine_reaches(host: str) -> None:
    assert Server(host=host).loopback


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org", "::ffff:8.8.8.8"]
)
def test_others_reach(host: str) -> None:
    assert not Server(host=host).loopback
