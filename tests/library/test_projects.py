"""A project's view of the library: its own inputs and outputs, and nothing else's."""

from pathlib import Path

import pytest

from chatterbox_plus.errors import NotFound, PermissionDenied
from chatterbox_plus.library.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "reference_audio", tmp_path / "vc_inputs", tmp_path / "outputs", tmp_path / "temp")


def test_a_project_finds_its_own_outputs_only(library: Library) -> None:
    for folder in ("team", "team/book", "teammates", "other"):
        (library.outputs.folder(folder) / f"{folder[-4:]}.wav").write_bytes(b"x")
    team = library.within("team").outputs
    assert team.files() == ["team.wav", "book/book.wav"]
    assert team.resolve("team/book/book.wav") == team.resolve("book")  # as the URL has it, and by its bare name
    for name in ("ates.wav", "teammates/ates.wav", "other/ther.wav"):
        with pytest.raises(NotFound):
            team.resolve(name)
    for name in ("../other/ther.wav", "book/../../other/ther.wav", str(library.outputs.root / "other" / "ther.wav")):
        with pytest.raises(PermissionDenied):
            team.resolve(name)


def test_a_link_into_another_project_leads_nowhere(library: Library) -> None:
    (library.outputs.folder("other") / "secret.wav").write_bytes(b"x")
    team = library.within("team").outputs
    (team.root / "link.wav").symlink_to(library.outputs.root / "other" / "secret.wav")
    with pytest.raises(PermissionDenied):
        team.resolve("link.wav")


def test_a_projects_own_folder_of_its_own_name_comes_first(library: Library) -> None:
    team = library.within("team").outputs
    (team.folder("team") / "a.wav").write_bytes(b"inner")
    (team.root / "a.wav").write_bytes(b"outer")
    assert team.resolve("team/a.wav").read_bytes() == b"inner"


def test_voices_are_shared_and_the_whole_is_the_nameless_project(library: Library) -> None:
    assert library.within("") is library
    assert library.within("team").voices is library.voices
    assert library.within("team") is library.within("team")
