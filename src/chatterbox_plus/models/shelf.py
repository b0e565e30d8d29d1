"""The models that are here: in the data folder, in a folder of the user's own, or in the hub's cache.

Nothing is remembered between two looks but what the headers of unchanged files say, so that a pull by another process,
or a folder that was taken away, is known at once.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from chatterbox_plus.errors import (
    FileExists,
    InvalidModel,
    InvalidOption,
    ModelNotInstalled,
    NotFound,
    WrongState,
)
from chatterbox_plus.library.naming import is_device, shown
from chatterbox_plus.library.writing import dump_json, sync_folder, write_whole, writing
from chatterbox_plus.models.catalog import CATALOG, FAMILIES, NOT_OURS, OFFICIAL_T3, T3, ModelFile, chosen
from chatterbox_plus.models.checking import SIZES, check, fitting, mismatch, shapes

Source = Literal["pulled", "copied", "added", "hub cache"]
PULLED = "pulled.json"
"""In the folder of a model that was pulled: repository, commit, and the digests of its files."""
MAX_NAME = 64  # characters
_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_NAME - 1}}}")
_COMING, _GONE = ".pull", ".gone"  # endings of hidden folders: of what is pulled, and of what is being deleted


@dataclass(frozen=True)
class Installed:
    """A model that can be loaded. paths: role -> file, see `catalog`; all lie in `folder`. size: their bytes."""

    name: str
    family: str
    folder: Path
    paths: Mapping[str, Path]
    source: Source
    size: int

    @property
    def title(self) -> str:
        return CATALOG[self.name].title if self.name in CATALOG else f"Chatterbox ({self.name})"

    @property
    def languages(self) -> tuple[str, ...]:
        """That it may know; ISO 639-1."""
        return FAMILIES[self.family].languages


@dataclass(frozen=True)
class Place:
    """A name that is in the catalog or on the shelf. problem: why what lies there cannot be used, in words.

    begun: whether a pull was begun that has not ended, or does not end yet.
    """

    name: str
    installed: Installed | None = None
    problem: str | None = None
    begun: bool = False


def hub_cache(env: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps what anybody on this machine has downloaded (its own rules, its variables)."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if env.get(variable):
            return Path(os.path.expandvars(env[variable])).expanduser()
    home = env.get("HF_HOME") or f"{env.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "hub"


class Shelf:
    """A folder of models. Thread-safe; several processes may have the same."""

    def __init__(self, folder: Path, hub_cache: Path | None = None) -> None:
        """folder: `models/` of the data folder; made when something is put there. hub_cache: None looks into none."""
        self.folder, self.hub_cache = folder, hub_cache

    def look(self) -> list[Place]:
        """Every name of the catalog, in its order, and of the shelf, in the alphabet's. Raises nothing."""
        return [self._place(name) for name in dict.fromkeys((*CATALOG, *self._names()))]

    def installed(self) -> list[Installed]:
        """Those that can be loaded."""
        return [place.installed for place in self.look() if place.installed]

    def find(self, name: str) -> Installed:
        """Raises NotFound for a name nobody knows, ModelNotInstalled, and InvalidModel for files that cannot be it."""
        found = self._search(self._known(name))
        if found is None:
            raise ModelNotInstalled(
                f"the model {name} is not installed: `chatterbox-plus models pull {name}` fetches it", param="model"
            )
        return found

    def place(self, name: str) -> Place:
        """How one of them stands. Raises NotFound."""
        return self._place(self._known(name))

    def coming(self, name: str) -> Path:
        """Where the files of a model lie until it is whole; there or not."""
        return self.folder / f".{checked(name)}{_COMING}"

    def check_free(self, name: str) -> None:
        """Raises FileExists if a model that is pulled would hide, or change, a folder of the user's."""
        if self._record(name).exists() or (self.folder / name).is_symlink():
            raise FileExists(
                f"{name} is a folder that somebody added: `chatterbox-plus models remove {name}` forgets it first"
            )

    def put(self, name: str) -> Installed:
        """What was coming is there: a model appears whole; of one that is there already, file by file. Raises
        InvalidModel for files that are not it after all."""
        coming, own = self.coming(name), self.folder / name
        _open(name, coming, "pulled")
        with writing():
            if own.is_dir():
                # the record last: without it, everything is compared again
                for path in sorted(coming.iterdir(), key=lambda path: path.name == PULLED):
                    target = own / path.name
                    if target.exists() and path.samefile(target):
                        path.unlink()  # moving one link onto the other would leave both
                    else:
                        path.replace(target)
                coming.rmdir()
            else:
                coming.replace(own)
            sync_folder(self.folder)
        return self.find(name)

    def add(self, name: str, folder: Path, family: str | None = None) -> Installed:
        """Remember a folder of the user's, which stays where and as it is.

        family: None finds it out from the files. Raises InvalidOption for a name that cannot be, InvalidModel for
        files that are not all there, not whole, or not of this model, FileExists for a name that is taken.
        """
        checked(name)
        if name in NOT_OURS:
            raise InvalidOption(f"{name} means something else in requests: take another name", param="name")
        if family is not None and family not in FAMILIES:
            raise InvalidOption(f"the family must be one of {', '.join(FAMILIES)}", param="family")
        if name in CATALOG and family not in (None, CATALOG[name].family):
            raise InvalidOption(f"{name} is a {CATALOG[name].family} model", param="family")
        folder = folder.expanduser().absolute()
        if not folder.is_dir():
            raise NotFound(f"there is no folder {folder}")
        if self._record(name).exists() or (self.folder / name).exists():
            raise FileExists(f"{name} is there already: `chatterbox-plus models remove {name}` makes room for it")
        found = _open(name, folder, "added", family)
        with writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._record(name), dump_json({"family": found.family, "folder": str(folder)}))
        return found

    def remove(self, name: str) -> Place:
        """Take a model off the shelf: its files if they lie there, else only what was remembered of a folder.

        Returns how the name stands then: it may still be in the hub's cache. Raises NotFound, ModelNotInstalled, and
        WrongState for one that is only there.
        """
        record, own, coming = self._record(self._known(name)), self.folder / name, self.coming(name)
        with writing():
            begun = coming.exists()
            shutil.rmtree(coming, ignore_errors=True)
            if own.is_symlink() or own.is_file():
                own.unlink()
            elif own.is_dir():
                gone = self.folder / f".{name}{_GONE}"
                shutil.rmtree(gone, ignore_errors=True)  # what an earlier try left
                own.replace(gone)  # at once for everybody who looks
                shutil.rmtree(gone)
            elif not (begun or record.exists()):
                if self._search(name) is not None:
                    raise WrongState(
                        f"{name} lies in the hub's cache, where others use it too: `hf cache` deletes there"
                    )
                raise ModelNotInstalled(f"the model {name} is not installed")
            record.unlink(missing_ok=True)
        return self._place(name)

    def _names(self) -> list[str]:
        with suppress(OSError):
            found = {path.stem if path.suffix == ".json" else path.name for path in self.folder.iterdir()}
            return sorted(name for name in found if is_name(name) and name not in NOT_OURS)
        return []

    def _known(self, name: str) -> str:
        if name not in CATALOG and name not in self._names():
            raise NotFound(f"there is no model {shown(name)}; there are {', '.join(p.name for p in self.look())}")
        return name

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _place(self, name: str) -> Place:
        begun = self.coming(name).exists()
        try:
            return Place(name, self._search(name), begun=begun)
        except InvalidModel as error:
            return Place(name, problem=error.message, begun=begun)

    def _search(self, name: str) -> Installed | None:
        """Raises InvalidModel."""
        own = self.folder / name
        if own.is_dir():
            return _open(name, own, "pulled" if (own / PULLED).exists() else "copied")
        if self._record(name).exists():
            family, folder = _read_record(self._record(name))
            return _open(name, folder, "added", family)
        if self.hub_cache is not None and name in CATALOG:
            snapshot = _snapshot(self.hub_cache, CATALOG[name].repo)
            # The cache has whatever anybody wanted of a repository: only what is whole counts.
            if snapshot is not None and not chosen(CATALOG[name].files, _listed(snapshot))[1]:
                return _open(name, snapshot, "hub cache")
        return None


def is_name(name: str) -> bool:
    """Whether a model can be called that, on every system."""
    return bool(_NAME.fullmatch(name)) and not name.endswith((".", ".json")) and not is_device(name)


def checked(name: str) -> str:
    """The name, if a model can be called that. Raises InvalidOption."""
    if not is_name(name):
        raise InvalidOption(
            f"a model's name is up to {MAX_NAME} small letters, digits, dots, dashes and underscores: {shown(name)}",
            param="name",
        )
    return name


def _open(name: str, folder: Path, source: Source, family: str | None = None) -> Installed:
    """The model in a folder, its files checked. Raises InvalidModel."""
    there = _listed(folder)
    family, t3 = _t3(name, folder, there, CATALOG[name].family if name in CATALOG else family)
    files = (ModelFile(T3, (t3,)), *FAMILIES[family].files)
    roles, missing = chosen(files, there)
    if missing:
        names = ", ".join(" or ".join(file.names) for file in missing)
        raise InvalidModel(f"{name} is not whole: {names} {'is' if len(missing) == 1 else 'are'} missing")
    paths = {role: folder / file for role, file in roles.items()}
    for role, path in paths.items():
        check(path, role, family)
    size = sum(path.stat().st_size for path in paths.values())
    return Installed(name, family, folder, MappingProxyType(paths), source, size)


def _t3(name: str, folder: Path, there: set[str], family: str | None) -> tuple[str, str]:
    """The family, and the T3 file of it that is meant by that name. Raises InvalidModel."""
    all_t3 = sorted(file for file in there if file.startswith("t3") and file.endswith(".safetensors"))
    own = CATALOG[name].files[0].names[0] if name in CATALOG else ""
    if own in all_t3:
        return CATALOG[name].family, own
    others = [file for file in all_t3 if file not in OFFICIAL_T3] if own else all_t3
    sizes = SIZES not in there
    fits: list[tuple[str, str]] = []
    for file in others:
        official = OFFICIAL_T3.get(file)
        if family is not None and official in (None, family):
            # Of a file that is all there is, `check` says what is wrong with it.
            if len(others) == 1 or mismatch(shapes(folder / file), T3, family, sizes=sizes) is None:
                fits.append((family, file))
        elif family is None:
            fits += [(one, file) for one in ([official] if official else fitting(shapes(folder / file), sizes=sizes))]
    if len(fits) == 1:
        return fits[0]
    if fits:
        told = ", ".join(f"{file} ({one})" for one, file in fits)
        raise InvalidModel(f"several models fit {name}: {told}; name the family, or call it by the model's own name")
    if own:
        raise InvalidModel(f"{name} is not whole: {own} is missing")
    if all_t3:
        raise InvalidModel(f"{name} is no {family or 'Chatterbox'} model by the keys and shapes of {', '.join(all_t3)}")
    raise InvalidModel(f"{name} is not whole: there is no t3*.safetensors")


def _listed(folder: Path) -> set[str]:
    """Names of the files in a folder. Raises InvalidModel."""
    try:
        return {path.name for path in folder.iterdir() if path.is_file()}
    except OSError:
        raise InvalidModel(f"the folder {folder.name} is not there, or cannot be read") from None


def _read_record(path: Path) -> tuple[str | None, Path]:
    try:
        told = json.loads(path.read_bytes())
        family, folder = told.get("family"), Path(told["folder"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InvalidModel(f"{path.name} does not say where the model is") from None
    if family is not None and family not in FAMILIES:
        raise InvalidModel(f"{path.name} names a family that there is not")
    return family, folder


def _snapshot(cache: Path, repo: str) -> Path | None:
    """The newest `main` of a repository that is in the hub's cache (models--owner--name/{refs,snapshots})."""
    place = cache / f"models--{repo.replace('/', '--')}"
    with suppress(OSError, ValueError):
        commit = (place / "refs" / "main").read_text("ascii").strip()
        if re.fullmatch(r"[0-9a-f]{40}", commit) and (place / "snapshots" / commit).is_dir():
            return place / "snapshots" / commit
    return None
