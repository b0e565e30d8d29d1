"""The official Chatterbox models: where they come from, and the files each family is made of.

Names of repositories and files: upstream's loaders (`tts.py`, `mtl_tts.py`, `tts_turbo.py`). A family is what an engine
has to be able to do; several models may be of one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

NOT_OURS = frozenset({"auto", "builtin"})
"""What requests may name besides, and no folder can be called."""
T3 = "t3"
_ENGLISH, _MULTILINGUAL, _TURBO, _NANO = "english", "multilingual", "turbo", "nano"
_MIT = "MIT"


@dataclass(frozen=True)
class ModelFile:
    """One part of a model. names: any one of these does, the first that is there. beside: a file name next to which it
    is required; without that file, or with "" and required=False, a model does without it."""

    role: str
    names: tuple[str, ...]
    required: bool = True
    beside: str = ""


@dataclass(frozen=True)
class Family:
    """files: all but the T3. t3: what upstream calls the T3 files of this family. languages: ISO 639-1 codes."""

    name: str
    t3: tuple[str, ...]
    files: tuple[ModelFile, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be pulled. download_bytes: about; from the numbers of parameters, in fp32."""

    name: str
    family: str
    repo: str
    files: tuple[ModelFile, ...]
    title: str
    languages: tuple[str, ...]
    licence: str
    download_bytes: int


_VOICE = ModelFile("conds", ("conds.pt",), required=False)
"""The voice a model brings along."""
_VE_OLD, _S3GEN_OLD = (
    ModelFile("ve", ("ve.pt", "ve.safetensors")),
    ModelFile("s3gen", ("s3gen.pt", "s3gen.safetensors")),
)
_VE = ModelFile("ve", ("ve.safetensors", "ve.pt"))
_GPT2 = (
    _VE,
    ModelFile("s3gen", ("s3gen_meanflow.safetensors", "s3gen_meanflow.pt")),
    ModelFile("tokenizer", ("tokenizer.json", "vocab.json")),
    ModelFile("merges", ("merges.txt",), beside="vocab.json"),
    ModelFile("added_tokens", ("added_tokens.json",), required=False),
    ModelFile("tokenizer_config", ("tokenizer_config.json",), required=False),
    ModelFile("special_tokens_map", ("special_tokens_map.json",), required=False),
    _VOICE,
)
_EN = ("en",)
# As upstream's SUPPORTED_LANGUAGES (mtl_tts.py) has them.
_MANY = (
    "ar", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "it", "ja",
    "ko", "ms", "nl", "no", "pl", "pt", "ru", "sv", "sw", "tr", "zh",
)  # fmt: skip

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family(
                _ENGLISH,
                ("t3_cfg.safetensors",),
                (
                    _VE,
                    ModelFile("s3gen", ("s3gen.safetensors", "s3gen.pt")),
                    ModelFile("tokenizer", ("tokenizer.json",)),
                    _VOICE,
                ),
                _EN,
            ),
            Family(
                _MULTILINGUAL,
                ("t3_mtl23ls_v2.safetensors", "t3_mtl23ls_v3.safetensors"),
                (
                    _VE_OLD,
                    _S3GEN_OLD,
                    ModelFile("tokenizer", ("grapheme_mtl_merged_expanded_v1.json",)),
                    ModelFile("cangjie", ("Cangjie5_TC.json",), required=False),  # only Chinese needs it
                    _VOICE,
                ),
                _MANY,
            ),
            Family(_TURBO, ("t3_turbo_v1.safetensors",), _GPT2, _EN),
            Family(_NANO, ("t3_nano_v1.safetensors",), _GPT2, _EN),
        )
    }
)


def _spec(name: str, family: str, repo: str, t3: str, title: str, parameters_m: float) -> ModelSpec:
    """parameters_m: millions, of all files."""
    found = FAMILIES[family]
    files = (ModelFile(T3, (t3,)), *found.files)
    size = round(parameters_m * 4) * 10**6
    return ModelSpec(name, family, f"ResembleAI/{repo}", files, title, found.languages, _MIT, size)


CATALOG: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _spec(_ENGLISH, _ENGLISH, "chatterbox", "t3_cfg.safetensors", "Chatterbox", 798),
            _spec(
                _MULTILINGUAL, _MULTILINGUAL, "chatterbox", "t3_mtl23ls_v2.safetensors", "Chatterbox Multilingual", 802
            ),
            _spec(
                "multilingual-v3", _MULTILINGUAL, "chatterbox", "t3_mtl23ls_v3.safetensors",
                "Chatterbox Multilingual v3", 802,
            ),
            _spec(_TURBO, _TURBO, "chatterbox-turbo", "t3_turbo_v1.safetensors", "Chatterbox Turbo", 746),
            _spec(_NANO, _NANO, "chatterbox-nano", "t3_nano_v1.safetensors", "Chatterbox Nano", 485),
        )
    }
)  # fmt: skip
OFFICIAL_T3: Mapping[str, str] = MappingProxyType({t3: family.name for family in FAMILIES.values() for t3 in family.t3})
"""File -> family, of the T3 files that upstream loads by name."""


def chosen(files: Iterable[ModelFile], there: Iterable[str]) -> tuple[dict[str, str], list[ModelFile]]:
    """Role -> name of the file that is used, of the names that are there; and what is required and is not there."""
    names, missing = set(there), []
    found: dict[str, str] = {}
    for file in files:
        name = next((name for name in file.names if name in names), None)
        needed = file.beside in found.values() if file.beside else file.required
        if name is not None:
            found[file.role] = name
        elif needed:
            missing.append(file)
    return found, missing
