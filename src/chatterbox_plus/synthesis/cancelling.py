"""Ways to be called off."""

from threading import Event

from chatterbox_plus.errors import Cancelled


class PartEvent(Event):
    """Calls off a part of something: set by itself for the part alone, and with the whole."""

    def __init__(self, whole: Event) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        return super().is_set() or self._whole.is_set()

    def check(self) -> None:
        """Raises Cancelled once it is set."""
        if self.is_set():
            raise Cancelled("the request was called off")
