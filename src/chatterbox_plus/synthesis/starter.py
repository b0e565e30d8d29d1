"""What a fresh data folder begins with: the six files that the guide's examples name, so that each works at once."""

import wave
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.errors import FileExists
from chatterbox_plus.library.store import Store
from chatterbox_plus.synthesis.options import SpeechOptions

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio

_VOICES = {
    "speaker1": (
        "en+m3",
        "Hello, I am the first speaker. I read at an even pace, so that you can tell my voice apart.",
    ),
    "speaker2": ("en+f3", "Hi there, I am the second speaker. Whatever I say, you will hear that it is not the first."),
    "narrator": ("en-us+m4", "I am the narrator. Chapters, verses and long winter evenings are what I am here for."),
}
_OUTPUTS = {
    "intro": ("en-us+m4", "Welcome. This is the introduction."),
    "main_content": (
        "en+m3",
        "This is the main part. It is a little longer than the introduction, and says a little more.",
    ),
    "outro": ("en+f3", "That was all. Thank you for listening."),
}
_SEED = 1


def make_starter_files(studio: "Studio") -> None:
    """Makes them once, on a fresh folder only: deleted, they stay deleted; what exists is never touched."""
    library = studio.library
    with library.first_start() as fresh:
        if fresh:
            for store, files in ((library.voices, _VOICES), (library.outputs, _OUTPUTS)):
                for stem, (voice, text) in files.items():
                    with suppress(FileExists):
                        _make(studio, store, stem, voice, text)


def _make(studio: "Studio", store: Store, stem: str, voice: str, text: str) -> None:
    options = SpeechOptions(text=text, reference_audio_filename=voice, model="builtin", seed=_SEED)
    with (
        store.reserve("", stem, (".wav",), numbered=False) as place,
        studio.speak_live(options, cancel=Event(), format="pcm", keep=False) as speech,
    ):
        with wave.open(place.open(".wav"), "wb") as file:  # a live wav would not know its length
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SPEECH_RATE)
            file.writeframes(b"".join(speech))
        place.commit()
