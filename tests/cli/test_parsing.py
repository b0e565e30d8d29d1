"""The command line itself: help, flags made from the options, wrong usage."""

import argparse
import re
import subprocess
import sys

import pytest

from chatterbox_plus import __version__
from chatterbox_plus.cli import COMMANDS, main, parser
from chatterbox_plus.commands import flags
from chatterbox_plus.settings import ENVIRONMENT, SECRET
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, Options, SpeechOptions


def parse(*words: str) -> argparse.Namespace:
    return parser(words).parse_args(words)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The complaint about wrong usage, which ends with status 2 and leaves stdout alone."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    return said.err.splitlines()[-1]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    told = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(name in told and summary in told for name, summary in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  chatterbox-plus {command}" in capsys.readouterr().out or command == "say"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"chatterbox-plus {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from chatterbox_plus import cli; cli.parser(['--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "numpy", "av", "fastapi", "uvicorn", "rich", "yaml"} & set(loaded)


def test_the_help_of_a_command_loads_no_engine() -> None:
    code = "import sys; from chatterbox_plus import cli; cli.parser(['say', 'serve']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"av", "fastapi", "uvicorn", "rich", "pyworld"} & set(loaded)


@pytest.mark.parametrize(
    "words, kind, asked_otherwise",
    [
        (["say", "x"], SpeechOptions, {"text", "folder", "webhook_url"}),
        (["convert", "x", "--to", "y"], ConversionOptions, {"input_audio_source", "target_voice_source", "folder"}),
        (["join", "x"], JoinOptions, {"segments", "folder"}),
    ],
)
def test_every_option_has_a_flag_and_one_not_given_stays_unset(
    words: list[str], kind: type[Options], asked_otherwise: set[str]
) -> None:
    args = parse(*words)
    known = {flag for action in args.parser._actions for flag in action.option_strings}
    assert {f"--{name.replace('_', '-')}" for name in set(kind.model_fields) - asked_otherwise} <= known
    assert not [name for name in vars(args) if name.startswith("option_")]


def test_flags_are_read_as_options() -> None:
    words = "say --voice f3 --speed 1.5 --no-to-lowercase --trim --seed 7 --formats flac,wav --normalize-method peak hi"
    args = parse(*words.split())
    options = flags.options_from(args, args.parser, SpeechOptions, text="hi")
    assert options.model_dump(include=options.model_fields_set) == {
        "text": "hi",
        "reference_audio_filename": "f3",
        "speed_factor": 1.5,
        "to_lowercase": False,
        "trim": True,
        "seed": 7,
        "export_formats": ("flac", "wav"),
        "normalize_method": "peak",
    }


def test_serve_has_a_flag_for_every_setting_of_the_environment_but_secrets() -> None:
    args = parse("serve", "--port", "1", "--allow-private-hosts", "--cors-origins", "a, b", "--config", "c.yaml")
    assert flags.settings_from(args) == {
        "CONFIG": "c.yaml", "PORT": "1", "ALLOW_PRIVATE_HOSTS": True, "CORS_ORIGINS": ["a", "b"],
    }  # fmt: skip
    top = parser(["serve"])
    told = top._subparsers._group_actions[0].choices["serve"].format_help()  # type: ignore[union-attr,index,call-overload]
    for name, place in ENVIRONMENT.items():
        assert bool(re.search(rf"--{name.lower().replace('_', '-')}\b", told)) is (".".join(place) not in SECRET)


WRONG = [
    ("say x --temperature 9", "--temperature: should be less than or equal to 2"),
    ("say x --seed -1", "--seed: should be greater than or equal to 0"),
    ("say x --formats ogg", "--export-formats: should be 'wav', 'mp3' or 'flac'"),
    ("say x --normalize-method rms", "invalid choice: 'rms'"),
    ("say x --nonsense", "unrecognized arguments: --nonsense"),
    ("say x --temp 1", "unrecognized arguments: --temp"),
    ("say x --file y", "give TEXT or --file, not both"),
    ("say x -o y.txt", "y.txt: name one of the formats as suffix"),
    ("say x -o y.wav --project p", "--project is for results in the data folder"),
    ("say x -o - --json", "-o - and --json both want stdout"),
    ("convert x", "required: --to"),
    ("convert x --to y --chunk-sec 1 --overlap-sec 2", "overlap_sec must be smaller than chunk_sec"),
    ("join (99s) x", "(99s): should be less than or equal to 10000"),
    ("join (1m) x", "(1m) is not a silence: write (500ms) or (1.5s)"),
    ("join (1s)", "at least one audio file is needed"),
    ("serve extra", "unrecognized arguments: extra"),
    ("sing", "invalid choice: 'sing'"),
    ("", "required: COMMAND"),
]


@pytest.mark.parametrize("words, complaint", WRONG)
def test_wrong_usage_is_named(words: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint in refused(capsys, *words.split())
