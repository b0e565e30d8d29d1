"""Language tags (BCP 47), as loosely as people write them."""

import re
from collections.abc import Mapping

_SCRIPTS = "arab|armn|beng|cyrl|deva|geor|grek|gujr|guru|hans|hant|hebr|jpan|kore|latn|mlym|mymr|sinh|taml|telu|thai"
_REGION_OR_SCRIPT = re.compile(rf"[a-z]{{2}}|\d{{3}}|{_SCRIPTS}")


def find_tag(tag: str, known: Mapping[str, str]) -> str | None:
    """What `known` has for a tag, in any case and with either kind of dash; regions and scripts that it does not know
    are left off: de-AT -> de, but never another language."""
    parts = tag.strip().lower().replace("_", "-").split("-")
    while parts:
        code = known.get("-".join(parts))
        if code is not None:
            return code
        if not _REGION_OR_SCRIPT.fullmatch(parts.pop()):
            return None
    return None
