"""The one table of audio formats: what may come in by name, what can go out and how."""

from dataclasses import dataclass

INPUT_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".mp4")

INPUT_MEDIA_TYPES = {
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/webm": ".webm",
    "audio/mp4": ".m4a",
}
"""What a file is where its name does not tell: those that OpenAI's clients send."""

BOOK_SUFFIX = ".m4b"  # made by us, and taken by nobody as an input
OUTPUT_SUFFIXES = (*INPUT_SUFFIXES, BOOK_SUFFIX)
ATTACHED_SUFFIXES = (".srt", ".vtt")  # subtitles: beside an output, of the same stem, and gone with it


@dataclass(frozen=True)
class OutputFormat:
    """One way to write audio down."""

    name: str
    media_type: str
    container: str | None  # PyAV container; None: bare samples
    codec: str
    bit_rate: int | None = None  # bit/s; None: lossless
    rates: tuple[int, ...] = ()  # Hz the codec can take; empty: any

    @property
    def suffix(self) -> str:
        return "." + self.name


_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (*_MP3_RATES, 64000, 88200, 96000)

FORMATS = {
    f.name: f
    for f in (
        OutputFormat("wav", "audio/wav", "wav", "pcm_s16le"),
        OutputFormat("mp3", "audio/mpeg", "mp3", "libmp3lame", 192_000, _MP3_RATES),
        OutputFormat("flac", "audio/flac", "flac", "flac"),
        OutputFormat("opus", "audio/ogg", "ogg", "libopus", 64_000, (8000, 12000, 16000, 24000, 48000)),
        OutputFormat("aac", "audio/aac", "adts", "aac", 128_000, _AAC_RATES),
        OutputFormat("pcm", "audio/pcm", None, "pcm_s16le"),
    )
}
NATIVE_FORMATS = ("wav", "mp3", "flac")
OPENAI_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SPEECH_RATE = 24_000  # Hz of all speech the server makes; OpenAI's pcm is defined as 24 kHz s16le mono
