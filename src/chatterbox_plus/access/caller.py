"""Who asks, and what of the house is theirs."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """user: its own project and the shared voices. admin: everything."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    key: the id of the key that was shown, None where none was. project: the folder below outputs/ and vc_inputs/
    that is theirs; "" is all of it. known: False for a stranger on a server that asks for keys, whom public routes and
    signed links meet. link: the one output such a link opens, by its path below outputs/.
    """

    role: Role = Role.ADMIN
    project: str = ""
    key: str | None = None
    name: str = ""
    known: bool = True
    link: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def may_change(self, owner: str | None) -> bool:
        """Whether a shared voice is theirs to change. owner: the project that uploaded it, None for an admin's."""
        return self.is_admin or (bool(owner) and owner == self.project)

    def may_read_output(self, path: str) -> bool:
        """Whether the file at that path below outputs/ (forward slashes) is theirs."""
        return self.is_admin or path == self.link or (bool(self.project) and path.startswith(f"{self.project}/"))


ANYBODY = Caller()
"""Who asks a server without keys: whoever reaches it owns it."""

STRANGER = Caller(role=Role.USER, known=False)
"""Who shows no key to a server that asks for one; only public routes meet them."""
