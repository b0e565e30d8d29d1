"""Which value counts: the request's own, else the voice's, else the configuration's, else the table's."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.options import Options

_PLACE = {"project", "folder"}
AnyOptions = TypeVar("AnyOptions", bound=Options)


def with_defaults(sent: AnyOptions, *layers: tuple[str, Mapping[str, Any]]) -> AnyOptions:
    """The options with everything that was not sent filled in from the layers, the first layer first.

    layers: (whose they are, for the error message; name -> value). Names that are no options are passed over.
    Raises InvalidOption naming the layer when a stored value is out of its range.
    """
    kind = type(sent)
    settled = sent.model_fields_set
    if settled & _PLACE:
        settled = settled | _PLACE  # two names of one thing: a stored one must not contradict the one that was sent
    merged: dict[str, Any] = {}
    owner: dict[str, str] = {}
    for whose, values in reversed(layers):
        for name, value in values.items():
            if name in kind.model_fields and name not in settled and value is not None:
                merged[name], owner[name] = value, whose
    if not merged:
        return sent
    given = {name: getattr(sent, name) for name in sent.model_fields_set}
    try:
        return kind.model_validate({**merged, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else next(iter(merged))
        raise InvalidOption(f"{owner.get(name, layers[0][0])}: {name}: {first['msg']}", param=name) from None
