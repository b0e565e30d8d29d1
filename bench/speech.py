"""Speech and conversion, as the studio makes them."""

from collections.abc import Iterator
from threading import Event

from bench.measure import LONG_TEXT, Bench, Figure, PeakMemory, Setting, studio, timed, voice_like, write_audio
from chatterbox_plus.synthesis.options import ConversionOptions, SpeechOptions


def plain(setting: Setting) -> Iterator[Figure]:
    """A long text in a stock voice, to a wav file."""
    yield _speech(setting, "speech_x_realtime", None, LONG_TEXT)


def cloned(setting: Setting) -> Iterator[Figure]:
    """A quarter of that text in the voice of a recording."""
    yield _speech(setting, "speech_cloned_x_realtime", "bench", LONG_TEXT[: len(LONG_TEXT) // 4])


def conversion(setting: Setting) -> Iterator[Figure]:
    """Ten minutes (--full: an hour) said again in another voice, and the memory that takes."""
    minutes = 60 if setting.full else 10
    with studio(setting) as house:
        voice = write_audio(setting.folder / "voice.wav", voice_like(10, f0_hz=200))
        source = write_audio(setting.folder / "source.wav", voice_like(60), copies=minutes)
        warm = write_audio(setting.folder / "warm.wav", voice_like(2))
        options = ConversionOptions(target_voice_source="bench", export_formats=("wav",))
        house.convert(options, cancel=Event(), source=warm, target=voice)
        with PeakMemory() as memory:
            took_s = timed(lambda: house.convert(options, cancel=Event(), source=source, target=voice))
    yield Figure("vc_x_realtime", minutes * 60 / took_s, "x", {"minutes": minutes})
    name = "vc_1h_peak_memory_mb" if setting.full else "vc_10min_peak_memory_mb"
    yield Figure(name, memory.added_mb, "MB", {"above_idle": True, "total_mb": round(memory.peak_mb)})


def _speech(setting: Setting, name: str, voice: str | None, text: str) -> Figure:
    with studio(setting) as house:
        write_audio(setting.folder / "data" / "reference_audio" / "bench.wav", voice_like(10, f0_hz=200))
        warm = SpeechOptions(text="Warm.", reference_audio_filename=voice, export_formats=("wav",), seed=1)
        house.speak(warm, cancel=Event())
        result = house.speak(warm.model_copy(update={"text": text}), cancel=Event())
    extra = {"audio_s": round(result.duration_s, 1), "processing_s": round(result.processing_s, 2)}
    return Figure(name, result.duration_s / result.processing_s, "x", extra)


BENCHES: dict[str, Bench] = {"speech": plain, "cloned": cloned, "conversion": conversion}
