"""Signed words: links that open one file for a while, and the page's session. HMAC-SHA256, nothing stored."""

import hashlib
import hmac
import re
import time
from urllib.parse import urlencode

LINK_MAX_S = 7 * 86_400
SESSION_S = 30 * 86_400
_SESSION = re.compile(r"([0-9a-f]{8})\.(\d{1,12})\.([0-9a-f]{64})", re.ASCII)


class Signer:
    """Signs and checks with one secret. What is signed says what it is for, so that no signature passes for another."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def link(self, path: str, lifetime_s: float, *, key: str, now: float | None = None) -> str:
        """The query that opens `path` (of the output, below outputs/) until it expires.

        key: the id of the key that vouches for it; whoever checks the link asks whether that key is still good.
        """
        expires = int((time.time() if now is None else now) + lifetime_s)
        return urlencode({"expires": expires, "key": key, "signature": self._sign("link", path, str(expires), key)})

    def link_is_valid(self, path: str, expires: str, key: str, signature: str, *, now: float | None = None) -> bool:
        moment = time.time() if now is None else now
        return self._holds(signature, "link", path, expires, key) and moment < int(expires)

    def session(self, key: str, *, now: float | None = None) -> str:
        """What the page's cookie holds for the key of that id."""
        expires = str(int((time.time() if now is None else now) + SESSION_S))
        return f"{key}.{expires}.{self._sign('session', key, expires)}"

    def session_key(self, cookie: str, *, now: float | None = None) -> str | None:
        """The id of the key a cookie stands for; None for one that is not ours, or too old."""
        match = _SESSION.fullmatch(cookie)
        if match is None or not self._holds(match[3], "session", match[1], match[2]):
            return None
        return match[1] if (time.time() if now is None else now) < int(match[2]) else None

    def _holds(self, signature: str, *words: str) -> bool:
        return hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(*words).encode())

    def _sign(self, *words: str) -> str:
        text = "\0".join(words).encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()
