"""One API key.

A key is `cbp_<id>_<secret>`. The secret has 256 bits of chance, so one round of SHA-256 is all its hash needs: no word
list can be tried against it. The id is no secret: lists, logs and `revoke` name a key by it.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from chatterbox_plus.access.caller import Caller, Role

_SHAPE = re.compile(r"cbp_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True)
class Key:
    """What is known of a key, the key itself excepted. rate_limit_per_minute: None = the server's, 0 = none."""

    id: str
    name: str
    role: Role
    project: str
    digest: str
    rate_limit_per_minute: int | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None

    @property
    def caller(self) -> Caller:
        return Caller(role=self.role, project=self.project, key=self.id, name=self.name)

    def opens(self, secret: str) -> bool:
        """Whether the secret is this key's; takes as long for any that is not."""
        return hmac.compare_digest(digest(secret), self.digest)


def taken_apart(key: str) -> tuple[str, str] | None:
    """Id and secret of what may be a key, None for what cannot be one."""
    match = _SHAPE.fullmatch(key)
    return (match[1], match[2]) if match else None


def put_together(id: str, secret: str) -> str:
    """The key as its owner sends it."""
    return f"cbp_{id}_{secret}"


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
