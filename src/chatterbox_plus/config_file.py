"""The configuration file as YAML: strict, and safe to read."""

from pathlib import Path
from typing import Any

import yaml

from chatterbox_plus.errors import SettingsError


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once: the second `api:` would silently drop the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.MarkedYAMLError(problem=f"{key} stands there twice", problem_mark=key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: Path, *, required: bool) -> dict[Any, Any]:
    """The file's mapping; {} for an empty file, and for one that is not there unless it is required.

    Raises SettingsError that says what is wrong with the file, and where.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if required:
            raise SettingsError(f"there is no configuration file {path.name}") from None
        return {}
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is not UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}") from None
    try:
        tree = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise SettingsError(f"{path.name} is not valid YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, TypeError):  # TypeError: a mapping's key that is itself a list or mapping
        raise SettingsError(f"{path.name} is not valid YAML") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{path.name} must be a mapping of sections")
    return tree
