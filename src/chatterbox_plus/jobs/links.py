"""Links in messages: whole, and signed where the files behind them need a key."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from chatterbox_plus.jobs.messages import Delivery

LINK_S = 7 * 86_400  # a receiver may be told days late


class Sign(Protocol):
    """The query that opens an output, by its path below outputs/, for a while. key: the id of the key that vouches."""

    def __call__(self, path: str, lifetime_s: float, *, key: str) -> str: ...


class Finisher:
    """Makes the links of a message what its receiver can open. See `webhooks.Finish`."""

    def __init__(self, sign: Sign | None) -> None:
        """sign: None where files need no key."""
        self._sign = sign

    def __call__(self, delivery: Delivery) -> Mapping[str, Any]:
        body = dict(delivery.body)
        base, key = body.pop("base_url", None) or "", body.pop("key", None)
        whole = self._whole(base, key)
        if body.get("output_url"):
            body["output_url"] = whole(body["output_url"])
        if body.get("output_files"):
            body["output_files"] = [{**file, "url": whole(file["url"])} for file in body["output_files"]]
        return body

    def _whole(self, base: str, key: str | None) -> Callable[[str], str]:
        def whole(url: str) -> str:
            if self._sign is None or key is None:
                return base + url
            return f"{base}{url}?{self._sign(unquote(url.removeprefix('/outputs/')), LINK_S, key=key)}"

        return whole
