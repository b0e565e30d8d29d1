"""What is on the shelf: known by its files, whole or explained, and never more removed than was put there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatterbox_plus.errors import FileExists, InvalidModel, InvalidOption, ModelNotInstalled, NotFound, WrongState
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.checking import _TELLTALES
from chatterbox_plus.models.shelf import Shelf, hub_cache
from tests.models.making import files_of, lay, part, pt, safetensors

COMMIT = "ab" * 20


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", tmp_path / "hub")


def cached(shelf: Shelf, name: str, files: dict[str, bytes]) -> Path:
    """The files as the hub's cache has them."""
    assert shelf.hub_cache is not None
    place = shelf.hub_cache / f"models--{CATALOG[name].repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    return lay(place / "snapshots" / COMMIT, files)


@pytest.mark.parametrize("name", CATALOG)
def test_a_copied_folder_of_official_files_is_that_model(shelf: Shelf, name: str) -> None:
    files = files_of(name)
    lay(shelf.folder / name, files)
    found = shelf.find(name)
    assert (found.name, found.family, found.source) == (name, CATALOG[name].family, "copied")
    assert {path.name for path in found.paths.values()} == set(files)
    assert found.size == sum(map(len, files.values()))
    assert [one.name for one in shelf.installed()] == [name]


def test_an_empty_shelf_says_how_to_fill_it(shelf: Shelf) -> None:
    assert shelf.installed() == []
    with pytest.raises(ModelNotInstalled, match="models pull nano"):
        shelf.find("nano")
    with pytest.raises(NotFound, match="no model tiny"):
        shelf.find("tiny")


@pytest.mark.parametrize(
    "have", [("tokenizer.json",), ("vocab.json", "merges.txt"), ("vocab.json", "merges.txt", "added_tokens.json")]
)
def test_a_turbo_tokenizer_comes_in_two_forms(shelf: Shelf, have: tuple[str, ...]) -> None:
    files = {name: data for name, data in files_of("turbo").items() if "token" not in name}
    lay(shelf.folder / "turbo", files | dict.fromkeys(have, b"{}"))
    assert {path.name for path in shelf.find("turbo").paths.values()} == {*files, *have}


def test_a_vocabulary_without_its_merges_is_not_whole(shelf: Shelf) -> None:
    files = {name: data for name, data in files_of("turbo").items() if "token" not in name}
    lay(shelf.folder / "turbo", files | {"vocab.json": b"{}"})
    with pytest.raises(InvalidModel, match=r"merges\.txt is missing"):
        shelf.find("turbo")


def test_either_form_of_the_weights_will_do(shelf: Shelf) -> None:
    files = files_of("english") | {"s3gen.pt": pt()}
    del files["s3gen.safetensors"]
    lay(shelf.folder / "english", files)
    assert shelf.find("english").paths["s3gen"].name == "s3gen.pt"


def test_the_hubs_cache_is_enough_if_all_is_in_it(shelf: Shelf) -> None:
    files = files_of("multilingual")
    conds = files.pop("conds.pt")
    cached(shelf, "multilingual", {"ve.pt": files.pop("ve.pt")})
    assert shelf.installed() == []
    assert shelf.place("multilingual").problem is None, "others may keep parts of it there"
    snapshot = cached(shelf, "multilingual", files | {"conds.pt": conds})
    found = shelf.find("multilingual")
    assert (found.source, found.folder) == ("hub cache", snapshot)
    with pytest.raises(ModelNotInstalled):
        shelf.find("english")
    with pytest.raises(WrongState, match="hub's cache"):
        shelf.remove("multilingual")
    assert snapshot.exists()


def test_the_cache_is_where_the_hubs_own_library_has_it() -> None:
    pytest.importorskip("huggingface_hub")
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"  # it reads its variables at import
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert hub_cache(os.environ) == Path(told.strip())
    assert hub_cache({"HF_HOME": "/x"}) == Path("/x/hub")
    assert hub_cache({"HF_HOME": "/x", "HF_HUB_CACHE": "/y"}) == Path("/y")
    assert hub_cache({"XDG_CACHE_HOME": "/z"}) == Path("/z/huggingface/hub")


def test_the_cache_is_read_as_the_hubs_own_library_reads_it(shelf: Shelf) -> None:
    hub = pytest.importorskip("huggingface_hub")
    cached(shelf, "nano", files_of("nano"))
    for path in shelf.find("nano").paths.values():
        told = hub.try_to_load_from_cache(CATALOG["nano"].repo, path.name, cache_dir=shelf.hub_cache)
        assert Path(told) == path


@pytest.mark.parametrize("name", CATALOG)
def test_an_added_folder_is_known_by_its_files(shelf: Shelf, tmp_path: Path, name: str) -> None:
    folder = lay(tmp_path / "mine", files_of(name))
    found = shelf.add("mine", folder)
    assert (found.family, found.source, found.folder) == (CATALOG[name].family, "added", folder)
    assert shelf.find("mine").paths == found.paths
    assert json.loads((shelf.folder / "mine.json").read_bytes()) == {"family": found.family, "folder": str(folder)}


def test_a_fine_tune_with_a_t3_of_another_name_is_accepted(shelf: Shelf, tmp_path: Path) -> None:
    files = files_of("multilingual-v3")
    files["t3_hi.safetensors"] = files.pop("t3_mtl23ls_v3.safetensors")
    found = shelf.add("hindi", lay(tmp_path / "pack", files))
    assert (found.family, found.paths["t3"].name) == ("multilingual", "t3_hi.safetensors")


def test_a_folder_of_several_models_asks_which(shelf: Shelf, tmp_path: Path) -> None:
    folder = lay(tmp_path / "all", files_of("english") | files_of("multilingual") | files_of("multilingual-v3"))
    with pytest.raises(InvalidModel, match=r"several .*t3_cfg.safetensors \(english\)"):
        shelf.add("mine", folder)
    assert shelf.add("mine", folder, "english").paths["t3"].name == "t3_cfg.safetensors"
    with pytest.raises(InvalidModel, match="several"):
        shelf.add("many", folder, "multilingual")
    assert shelf.add("multilingual-v3", folder).paths["t3"].name == "t3_mtl23ls_v3.safetensors"


def test_an_official_name_is_only_for_that_model(shelf: Shelf, tmp_path: Path) -> None:
    folder = lay(tmp_path / "nano", files_of("nano"))
    with pytest.raises(InvalidModel, match=r"t3_turbo_v1\.safetensors is missing"):
        shelf.add("turbo", folder)
    with pytest.raises(InvalidOption, match="turbo is a turbo model"):
        shelf.add("turbo", folder, "nano")
    assert shelf.add("nano", folder).source == "added"


def test_other_sizes_need_a_file_that_says_so(shelf: Shelf, tmp_path: Path) -> None:
    files = files_of("nano")
    small = {
        key: tuple(min(n, 8) for n in shape) for key, shape in _TELLTALES["nano"]["t3"].items() if ".11." not in key
    }
    folder = lay(tmp_path / "small", files | {"t3_nano_v1.safetensors": safetensors(small)})
    with pytest.raises(InvalidModel, match=r"text_emb\.weight has the shape 8x8, not 50276x768"):
        shelf.add("small", folder)
    (folder / "sizes.json").write_text("{}")
    assert shelf.add("small", folder).family == "nano"


BROKEN = {
    "cut off": ("s3gen_meanflow.safetensors", lambda data: data[:-1], r"s3gen_meanflow\.safetensors is cut off"),
    "cut in the header": ("ve.safetensors", lambda data: data[:30], r"ve\.safetensors is cut off"),
    "with something after it": ("ve.safetensors", lambda data: data + b"x", r"ve\.safetensors is damaged"),
    "no safetensors": ("t3_turbo_v1.safetensors", lambda data: b"<html>" * 99, r"t3_turbo_v1\.safetensors is no safe"),
    "with a header that is none": ("ve.safetensors", lambda data: data[:8] + b"[" + data[9:], r"header cannot be read"),
    "a pointer": ("conds.pt", lambda data: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "empty": ("conds.pt", lambda data: b"", r"conds\.pt is empty"),
    "a pt cut off": ("conds.pt", lambda data: data[:-20], r"conds\.pt is cut off"),
    "no pt": ("conds.pt", lambda data: b"hello", r"conds\.pt is no file of PyTorch"),
    "JSON cut off": ("tokenizer.json", lambda data: data[:-1], r"tokenizer\.json is cut off"),
    "another model's": (
        "s3gen_meanflow.safetensors",
        lambda data: part("english", "s3gen"),
        "no flow.*time_embed_mixer",
    ),
    "another T3": ("t3_turbo_v1.safetensors", lambda data: part("nano", "t3"), r"text_emb\.weight .*50276x768"),
    "missing": ("ve.safetensors", None, r"ve\.safetensors or ve\.pt is missing"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_wrong_is_named_with_what_is_wrong(shelf: Shelf, tmp_path: Path, what: str) -> None:
    name, broken, told = BROKEN[what]
    files = files_of("turbo")
    content = files.pop(name)
    if broken is not None:
        files[name] = broken(content)
    folder = lay(tmp_path / "mine", files)
    with pytest.raises(InvalidModel, match=told):
        shelf.add("mine", folder)
    assert not shelf.folder.exists(), "nothing is remembered of it"
    lay(shelf.folder / "turbo", files)
    assert shelf.installed() == []
    with pytest.raises(InvalidModel, match=told) as seen:
        shelf.find("turbo")
    assert shelf.place("turbo").problem == seen.value.message
    assert str(tmp_path) not in seen.value.message


def test_a_file_that_breaks_later_is_noticed(shelf: Shelf) -> None:
    folder = lay(shelf.folder / "nano", files_of("nano"))
    assert shelf.find("nano")
    (folder / "ve.safetensors").write_bytes(part("nano", "ve")[:-1])
    with pytest.raises(InvalidModel, match=r"ve\.safetensors is cut off"):
        shelf.find("nano")


def test_a_folder_that_went_away_is_explained(shelf: Shelf, tmp_path: Path) -> None:
    folder = lay(tmp_path / "disk", files_of("nano"))
    shelf.add("mine", folder)
    folder.rename(tmp_path / "unplugged")
    with pytest.raises(InvalidModel, match="folder disk is not there"):
        shelf.find("mine")
    (shelf.folder / "mine.json").write_text("[]")
    with pytest.raises(InvalidModel, match=r"mine\.json does not say"):
        shelf.find("mine")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "A", ".a", "a.", "x.json", "nul", "com1", "a b", "ä", "a" * 65],
)
def test_a_name_leads_nowhere_else(shelf: Shelf, tmp_path: Path, name: str) -> None:
    folder = lay(tmp_path / "mine", files_of("nano"))
    with pytest.raises(InvalidOption):
        shelf.add(name, folder)
    with pytest.raises((InvalidOption, NotFound)):
        shelf.remove(name)
    with pytest.raises((InvalidOption, NotFound)):
        shelf.find(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


@pytest.mark.parametrize("name", ["auto", "builtin"])
def test_what_requests_mean_otherwise_is_no_name(shelf: Shelf, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match="something else"):
        shelf.add(name, lay(tmp_path / "mine", files_of("nano")))


def test_removing_an_added_model_leaves_its_folder(shelf: Shelf, tmp_path: Path) -> None:
    folder = lay(tmp_path / "mine", files_of("nano"))
    shelf.add("mine", folder)
    with pytest.raises(FileExists):
        shelf.add("mine", folder)
    assert shelf.remove("mine").installed is None
    assert set(files_of("nano")) == {path.name for path in folder.iterdir()}
    with pytest.raises(NotFound):
        shelf.remove("mine")
    assert list(shelf.folder.iterdir()) == []


def test_removing_a_link_leaves_what_it_leads_to(shelf: Shelf, tmp_path: Path) -> None:
    folder = lay(tmp_path / "mine", files_of("nano"))
    shelf.folder.mkdir()
    (shelf.folder / "nano").symlink_to(folder)
    assert shelf.find("nano").source == "copied"
    shelf.remove("nano")
    assert len(list(folder.iterdir())) == len(files_of("nano"))


def test_removing_deletes_what_lies_in_the_data_folder(shelf: Shelf) -> None:
    lay(shelf.folder / "nano", files_of("nano"))
    lay(shelf.folder / "turbo", files_of("turbo"))
    assert shelf.remove("nano").installed is None
    assert [one.name for one in shelf.installed()] == ["turbo"]
    assert [path.name for path in shelf.folder.iterdir()] == ["turbo"]
    with pytest.raises(ModelNotInstalled):
        shelf.remove("nano")
