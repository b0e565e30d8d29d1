"""Nothing outside the store is read or written, names find what they say, and nothing is overwritten."""

import os
import unicodedata
from pathlib import Path

import pytest

from chatterbox_plus.errors import (
    Ambiguous,
    FileExists,
    InvalidOption,
    NotFound,
    PermissionDenied,
    PlusError,
    UnsupportedFormat,
)
from chatterbox_plus.library import store as store_module
from chatterbox_plus.library.store import Store

OUTSIDE = b"canary"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """root/ with one voice; beside it a canary that no name may reach."""
    (tmp_path / "canary.wav").write_bytes(OUTSIDE)
    (tmp_path / "canary.wav.json").write_text('{"usage_count": 1}')
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "canary.wav").write_bytes(OUTSIDE)
    return Store(fill(tmp_path / "root", "speaker1.wav"))


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def save(store: Store, folder: str, stem: str) -> Path:
    with store.reserve(folder, stem, (".wav",)) as place:
        place.open(".wav").write(b"sound")
        place.write_json({})
        return place.commit()[".wav"]


def attempt(work):
    """What `work` returns, or the error it raises on purpose."""
    try:
        return work()
    except PlusError as error:
        return error


def outside(tmp_path: Path) -> dict[str, bytes]:
    """Everything beside the root, with its bytes."""
    return {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.is_relative_to(tmp_path / "root")
    }


HOSTILE = [
    "..", "../canary.wav", "../canary", "../../canary.wav", "x/../../canary.wav", "x/../speaker1.wav",
    "./../canary.wav", "../root2/canary.wav", "..\\canary.wav", "..\\..\\canary.wav", "x\\..\\..\\canary.wav",
    "../root/speaker1.wav", "{tmp}/canary.wav", "{tmp}/canary", "//{tmp}/canary.wav", "/etc/passwd", "/", "\\",
    "\\canary.wav", "\\\\host\\share\\canary.wav", "//host/share/canary.wav", "\\\\?\\C:\\canary.wav",
    "\\\\.\\pipe\\x", "C:\\canary.wav", "c:/canary.wav", "C:", "~", "~/canary.wav", "~root/canary.wav",
    "file:///etc/passwd", "file://{tmp}/canary.wav", ".. /canary.wav", ".../canary.wav", " ../canary.wav",
    "..\u200b/canary.wav", "%2e%2e/canary.wav", "%2e%2e%2fcanary.wav", "..%2fcanary.wav", "..%c0%afcanary.wav",
    "．．/canary.wav", "..／canary.wav", "\0", "speaker1.wav\0", "../canary.wav\0.wav", "", ".", "./", " ",
    "\ud800", "con", "CON.wav", "nul", "aux.wav", "com1.mp3", "x" * 300, "é" * 300, "/".join("x" * 3000),
    "\u202egpj.vaw", "e\u0301" * 200, "*", "*.wav", "**/*.wav", "[s]peaker1.wav", "speaker?.wav", "s*",
    "{{speaker1}}.wav", "speaker1.wav/", "speaker1.wav/x", "speaker1.wav.", "speaker1.wav:stream",
    "speaker1.wav::$DATA", "-rf", "$(touch x).wav", "`id`", "a|b", "line\nbreak.wav", "canary", "canary.wav",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_reads_anything_outside(store, tmp_path, name):
    """A name is refused, not found, or a file of the store; what is outside is neither opened nor probed."""
    name = name.replace("{tmp}", str(tmp_path))
    for find in (store.resolve, store.exact):
        found = attempt(lambda find=find: find(name))
        if isinstance(found, PlusError):
            assert found.status in (403, 404, 422)
            assert str(tmp_path) not in found.message.replace(name, "")
            assert len(found.message) < 300
        else:
            assert found.read_bytes() == b"speaker1.wav"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_writes_anything_outside(store, tmp_path, name):
    """As a folder and as a stem: what is written lies below the root, and the world around stays as it was."""
    name, before = name.replace("{tmp}", str(tmp_path)), outside(tmp_path)
    for folder, stem in ((name, "take"), ("book", name)):
        committed = attempt(lambda folder=folder, stem=stem: save(store, folder, stem))
        if isinstance(committed, PlusError):
            assert committed.status in (403, 409, 422)
        else:
            assert committed.resolve().is_relative_to(store.root)
            assert store.exact(store.relative(committed)).read_bytes() == b"sound"
    assert outside(tmp_path) == before
    assert (store.root / "speaker1.wav").read_bytes() == b"speaker1.wav"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("../canary.wav", PermissionDenied),
        ("../missing.wav", PermissionDenied),
        ("/etc/passwd", PermissionDenied),
        ("C:\\x.wav", PermissionDenied),
        ("\\\\host\\share\\x.wav", PermissionDenied),
        ("~/x.wav", PermissionDenied),
        ("x\0.wav", InvalidOption),
        ("missing.wav", NotFound),
        ("%2e%2e/canary.wav", NotFound),
        ("*.wav", NotFound),
        ("", NotFound),
        ("x" * 300, NotFound),
    ],
)
def test_each_refusal_has_its_kind(store, name, error):
    with pytest.raises(error):
        store.resolve(name)


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")


def test_links_that_lead_out_are_refused_whether_or_not_anything_is_there(store, tmp_path):
    link(store.root / "out.wav", tmp_path / "canary.wav")
    link(store.root / "dir", tmp_path)
    link(store.root / "dangling.wav", tmp_path / "nothing.wav")
    for name in ("out.wav", "out", "dir/canary.wav", "dir/canary", "dir/missing.wav", "dangling.wav"):
        with pytest.raises(PermissionDenied):
            store.resolve(name)
    with pytest.raises(PermissionDenied):
        store.reserve("dir/new", "x", (".wav",))
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotFound):
        store.resolve("canary")  # links to folders are not searched


def test_links_within_the_store_are_fine(store):
    link(store.root / "alias.wav", store.root / "speaker1.wav")
    assert store.resolve("alias").read_bytes() == b"speaker1.wav"


def test_a_sidecar_link_that_leads_out_is_neither_read_nor_followed(store, tmp_path):
    voice = store.resolve("speaker1")
    link(store.sidecar(voice), tmp_path / "canary.wav.json")
    assert store.read_sidecar(voice) == {}
    store.write_json(store.sidecar(voice), {"usage_count": 7})
    assert (tmp_path / "canary.wav.json").read_text() == '{"usage_count": 1}'


def test_only_regular_files_are_found(store):
    (store.root / "folder.wav").mkdir()
    for name in ("folder.wav", "folder"):
        with pytest.raises(NotFound):
            store.resolve(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_no_voice_and_blocks_nobody(store):
    os.mkfifo(store.root / "pipe.wav")
    os.mkfifo(store.root / "speaker1.wav.json")
    with pytest.raises(NotFound):
        store.resolve("pipe")
    assert store.read_sidecar(store.resolve("speaker1")) == {}
    assert store.files() == ["speaker1.wav"]


TREE = (
    "a.wav", "a.mp3", "b.flac", "b.mp3", "c.ogg", "d/a.wav", "d/e/deep.wav", "f/one.wav", "g/one.wav",
    "g/h/two.wav", "d/two.mp3", "d/two.wav", "x.v2.wav", "UP.WAV", "p/q/r.wav", "z/p/q/r.mp3", "m/same.wav",
    "n/same.wav.wav", ".hidden.wav", ".git/in.wav", "notes.txt", "d/notes2.txt", "[1].wav", "100%.wav",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.wav", "a.wav"),
        ("a.mp3", "a.mp3"),
        ("a", "a.wav"),
        ("b", "b.mp3"),
        ("c", "c.ogg"),
        ("d/a", "d/a.wav"),
        ("d\\a.wav", "d/a.wav"),
        ("./d//a", "d/a.wav"),
        ("deep", "d/e/deep.wav"),
        ("e/deep.wav", "d/e/deep.wav"),
        ("two", "d/two.wav"),
        ("two.mp3", "d/two.mp3"),
        ("h/two", "g/h/two.wav"),
        ("x.v2", "x.v2.wav"),
        ("UP", "UP.WAV"),
        ("q/r", "p/q/r.wav"),
        ("q/r.mp3", "z/p/q/r.mp3"),
        ("same.wav", "m/same.wav"),
        ("[1]", "[1].wav"),
        ("100%", "100%.wav"),
    ],
)
def test_a_name_finds_the_exact_file_then_with_extension_then_below(tmp_path, name, found):
    store = Store(fill(tmp_path / "root", *TREE))
    assert store.relative(store.resolve(name)) == found


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("one", Ambiguous, "f/one.wav, g/one.wav"),
        ("one.wav", Ambiguous, "f/one.wav, g/one.wav"),
        ("notes.txt", UnsupportedFormat, "Not an audio file: notes.txt"),
        ("d/notes2.txt", UnsupportedFormat, "Not an audio file: d/notes2.txt"),
        ("missing.txt", NotFound, "File not found: missing.txt"),
        ("wo", NotFound, "File not found: wo"),
        (".hidden", NotFound, "File not found"),
        (".hidden.wav", NotFound, "File not found"),
        (".git/in.wav", NotFound, "File not found"),
        ("in", NotFound, "File not found"),
        ("d", NotFound, "File not found: d"),
    ],
)
def test_a_name_that_finds_nothing_says_why(tmp_path, name, error, message):
    store = Store(fill(tmp_path / "root", *TREE))
    with pytest.raises(error, match=message.replace(".", r"\.")):
        store.resolve(name)


def test_both_spellings_of_an_accent_find_the_file(tmp_path):
    stored = unicodedata.normalize("NFD", "café")
    store = Store(fill(tmp_path / "root", f"{stored}.wav"))
    assert store.resolve("café").name == f"{stored}.wav"
    assert store.resolve(stored).name == f"{stored}.wav"


def test_exact_searches_nothing(tmp_path):
    store = Store(fill(tmp_path / "root", *TREE))
    assert store.exact("d/two.wav").is_file()
    for name in ("two.wav", "a", "d"):
        with pytest.raises(NotFound):
            store.exact(name)


def test_files_lists_audio_only_the_shallowest_first(tmp_path):
    store = Store(fill(tmp_path / "root", "z.wav", "a/y.MP3", "a/b/x.flac", "n.txt", ".h.wav", "a/y.MP3.json"))
    assert store.files() == ["z.wav", "a/y.MP3", "a/b/x.flac"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("speaker1.wav:stream", PermissionDenied),
        ("d:speaker1.wav", PermissionDenied),
        ("nul", NotFound),
        ("con.wav", NotFound),
        ("speaker1.wav.", NotFound),
        ("speaker1.wav ", NotFound),
    ],
)
def test_windows_never_hears_of_streams_devices_and_ends_it_would_drop(store, monkeypatch, name, error):
    monkeypatch.setattr(store_module, "_WINDOWS", True)
    with pytest.raises(error):
        store.resolve(name)
    assert store.resolve("speaker1").is_file()


def test_a_folder_where_a_file_is_cannot_be_made(store):
    for folder in ("speaker1.wav", "speaker1.wav/below"):
        with pytest.raises(FileExists):
            store.reserve(folder, "x", (".wav",))


def test_a_root_reached_through_a_link_works(tmp_path):
    fill(tmp_path / "real", "a.wav")
    link(tmp_path / "alias", tmp_path / "real")
    store = Store(tmp_path / "alias")
    assert store.relative(store.resolve("a")) == "a.wav"


def test_a_link_that_leads_to_itself_is_in_nobodys_way(store: Store) -> None:
    try:
        (store.root / "a.wav").symlink_to("a.wav")
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")
    assert store.files() == ["speaker1.wav"]
    assert not store.is_empty()
    (store.root / "speaker1.wav").unlink()
    assert store.is_empty()
    with pytest.raises(NotFound):
        store.resolve("a.wav")


def test_a_name_that_no_file_can_have_is_not_even_looked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(path: object) -> str:
        raise AssertionError("nobody opens a path of that length")

    monkeypatch.setattr(os.path, "realpath", look)
    for name in ("a/" * 500_000 + "x.wav", "x" * 1_000_000):
        with pytest.raises(NotFound):
            store.resolve(name)
        with pytest.raises(NotFound):
            store.exact(name)
