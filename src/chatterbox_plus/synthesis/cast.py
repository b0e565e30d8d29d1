"""Who says what a request asks for."""

from dataclasses import dataclass

from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.voices import Speaker


@dataclass(frozen=True)
class Cast:
    """sent: the request as the client wrote it; options: with the defaults filled in. reference: the recording that the
    speaker sounds like; None: a voice of the engine's own."""

    sent: SpeechOptions
    options: SpeechOptions
    speaker: Speaker
    host: EngineHost
    reference: Reference | None
