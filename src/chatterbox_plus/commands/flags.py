"""Flags made from the option objects and the settings: their fields are the only place with a default or a range."""

import argparse
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from chatterbox_plus.settings import ENVIRONMENT, Settings, flag
from chatterbox_plus.synthesis.options import Options

AnyOptions = TypeVar("AnyOptions", bound=Options)
AnyModel = TypeVar("AnyModel", bound=BaseModel)
_OPTION, _SETTING = "option_", "setting_"  # before the field's name in the parsed namespace
_GROUPS = {"model": "how the model speaks", "judge": "choosing between takes"}


def add_option_flags(
    parser: argparse.ArgumentParser,
    kind: type[Options],
    *,
    skip: Collection[str] = (),
    synonyms: Mapping[str, tuple[str, ...]] = types.MappingProxyType({}),
) -> None:
    """A flag for every field of an operation; one not given is not in the namespace, so that defaults can be layered.

    skip: fields that the command asks for in another way. synonyms: field -> friendlier names for its flag.
    """
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, info in kind.model_fields.items():
        if name in skip:
            continue
        title = _GROUPS.get(_owner(info), "options of the sound")
        group = groups.get(title) or groups.setdefault(title, parser.add_argument_group(title))
        _add(group, (*synonyms.get(name, ()), flag(name)), _OPTION + name, info, info.description or "")


def options_from(
    args: argparse.Namespace, parser: argparse.ArgumentParser, kind: type[AnyOptions], **others: Any
) -> AnyOptions:
    """The operation's options: what was given as flags, and `others`. A bad value ends the program with usage."""
    given = {n: getattr(args, _OPTION + n) for n in kind.model_fields if hasattr(args, _OPTION + n)}
    return validated(parser, "", kind, **given, **others)


def validated(parser: argparse.ArgumentParser, what: str, kind: type[AnyModel], **values: Any) -> AnyModel:
    """The model of these values. what: the word at fault; "": the flag of the first wrong field is."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = what or (flag(str(first["loc"][0])) if first["loc"] else "")
        message = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
        parser.error(f"{where}: {message}" if where else message)


def add_setting_flags(parser: argparse.ArgumentParser, names: Collection[str] = ()) -> None:
    """--config, --data-dir, and a flag for each of `names`, which are names of ENVIRONMENT."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--config", dest=_SETTING + "CONFIG", metavar="FILE", help="configuration file (default: config.yaml, if there)"
    )
    for name in dict.fromkeys(("DATA_DIR", *names)):
        section, key = ENVIRONMENT[name]
        info = getattr(Settings(), section).__class__.model_fields[key]
        help = f"{info.description or f'{section}.{key}'}".rstrip(".")
        _add(group, (flag(name),), _SETTING + name, info, help)


def settings_from(args: argparse.Namespace) -> dict[str, Any]:
    """The settings given as flags, as `settings.load` takes them."""
    return {n.removeprefix(_SETTING): v for n, v in vars(args).items() if n.startswith(_SETTING)}


def _owner(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("belongs_to")) if isinstance(extra, dict) else ""


def _add(group: argparse._ArgumentGroup, flags: tuple[str, ...], dest: str, info: FieldInfo, help: str) -> None:
    kind = _plain(info.annotation)
    text = _with_default(help, info).replace("%", "%%")
    if kind is bool:
        group.add_argument(
            *flags, dest=dest, help=text, default=argparse.SUPPRESS, action=argparse.BooleanOptionalAction
        )
    elif get_origin(kind) is Literal:
        group.add_argument(*flags, dest=dest, help=text, default=argparse.SUPPRESS, choices=get_args(kind))
    elif get_origin(kind) is tuple:
        group.add_argument(*flags, dest=dest, help=text, default=argparse.SUPPRESS, type=_comma_list, metavar="A,B")
    else:
        metavar = "TEXT" if kind is str else "DIR" if kind not in (int, float) else _range(info) or "N"
        group.add_argument(*flags, dest=dest, help=text, default=argparse.SUPPRESS, metavar=metavar)


def _plain(annotation: Any) -> Any:
    """`X | None` -> X."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation


def _comma_list(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _range(info: FieldInfo) -> str:
    low = next((m.ge for m in info.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in info.metadata if hasattr(m, "le")), None)
    return f"{low:g}..{high:g}" if low is not None and high is not None and high < 10**6 else ""


def _with_default(help: str, info: FieldInfo) -> str:
    default = info.default
    if isinstance(default, tuple):
        default = ",".join(default)
    if default is None or default == "" or isinstance(default, bool):
        shown = {True: "default: on", False: "default: off"}.get(default, "") if isinstance(default, bool) else ""
    else:
        shown = f"default: {default}"
    return f"{help} ({shown})".strip() if shown else help
