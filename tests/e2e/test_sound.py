"""What is heard is what was asked for, measured on the audio that the real server sends."""

import io
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests

from chatterbox_plus.synthesis.voices import OPENAI_VOICES
from tests.audio.recordings import record
from tests.hearing import (
    Sound,
    container_format,
    listen,
    long_term_spectrum,
    median_f0,
    pitch_change_cents,
    spectral_distance,
)
from tests.live import LiveServer

PANGRAM = "The quick brown fox jumps over the lazy dog, while seven wizards watch from the old grey tower."
BOTH_ANIMALS = "The quick brown fox jumps over the lazy dog."
RATE = 24_000
MOST_S = 12  # of a recording: trackers of pitch take their time
Plain = Callable[[str | None, str], Sound]


def tts(server: LiveServer, query: str = "", **fields: Any) -> requests.Response:
    body = {"text": PANGRAM, "export_formats": ["wav"], "seed": 5, **fields}
    answer = requests.post(f"{server.url}/api/v1/tts{query}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def plain(server: LiveServer) -> Plain:
    """What is heard of a voice and a text, without any other wish."""
    return cache(lambda voice, text: listen(tts(server, text=text, reference_audio_filename=voice).content))


def test_the_same_seed_gives_the_same_bytes_with_and_without_a_reference(server: LiveServer) -> None:
    for voice in (None, "speaker2.wav"):
        first = tts(server, reference_audio_filename=voice).content
        tts(server, text="Something else in between.")
        assert tts(server, reference_audio_filename=voice).content == first


@pytest.mark.parametrize("voice", [None, "narrator.wav"])
@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speed_changes_the_duration_and_not_the_pitch(
    server: LiveServer, plain: Plain, voice: str | None, speed: float
) -> None:
    usual = plain(voice, PANGRAM)
    other = listen(tts(server, reference_audio_filename=voice, speed_factor=speed).content)
    assert len(usual) / len(other) == pytest.approx(speed, rel=0.01)
    assert abs(pitch_change_cents(usual, other, speed)) < 15


@pytest.mark.parametrize("speed", [0.25, 4.0])
def test_openais_route_has_the_wider_range_of_speeds(server: LiveServer, speed: float) -> None:
    def speech(speed: float) -> int:
        body = {"model": "tts-1", "input": PANGRAM, "voice": "echo", "response_format": "pcm", "speed": speed}
        return len(requests.post(server.url + "/v1/audio/speech", json=body, timeout=60).content)

    assert speech(1.0) / speech(speed) == pytest.approx(speed, rel=0.01)


def loudness(audio: bytes) -> tuple[float, float]:
    """(LUFS, dBTP) as FFmpeg's ebur128 filter measures them."""
    graph = av.filter.Graph()
    with av.open(io.BytesIO(audio)) as container:
        stream = container.streams.audio[0]
        source = graph.add_abuffer(template=stream)
        meter = graph.add("ebur128", "metadata=1:peak=true")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        metadata: dict[str, str] = {}
        for frame in [*container.decode(stream), None]:
            graph.push(frame)
            while True:
                try:
                    metadata = dict(sink.pull().metadata) or metadata
                except (av.BlockingIOError, av.EOFError):
                    break
    peak = max(float(v) for k, v in metadata.items() if k.startswith("lavfi.r128.true_peak"))
    return float(metadata["lavfi.r128.I"]), 20 * np.log10(peak)


@pytest.mark.parametrize("level", [-24.0, -18.0, -14.0])
def test_loudness_is_what_was_asked_for_and_peaks_stay_below(server: LiveServer, level: float) -> None:
    answer = tts(server, text=PANGRAM * 3, normalize_audio=True, normalize_level=level, normalize_tp=-1.5)
    lufs, peak = loudness(answer.content)
    assert lufs == pytest.approx(level, abs=0.5)
    assert peak <= -1.0


def test_every_format_holds_the_same_speech(server: LiveServer) -> None:
    reply = tts(server, "?response_mode=url", export_formats=["wav", "mp3", "flac"]).json()
    files = {f["format"]: requests.get(server.url + f["url"], timeout=30).content for f in reply["output_files"]}
    assert {name: container_format(data) for name, data in files.items()} == {
        "wav": "wav",
        "mp3": "mp3",
        "flac": "flac",
    }
    wav, flac = listen(files["wav"]), listen(files["flac"])
    np.testing.assert_array_equal(wav, flac)
    mp3 = listen(files["mp3"])[: len(wav)]
    assert np.corrcoef(wav[: len(mp3)], mp3)[0, 1] > 0.99
    stems = {f["filename"].rsplit(".", 1)[0] for f in reply["output_files"]}
    assert len(stems) == 1
    sidecars = list((server.data / "outputs").glob(f"{stems.pop()}.json"))
    assert len(sidecars) == 1


def test_live_audio_is_the_kept_audio_and_starts_early(server: LiveServer) -> None:
    body = {"text": PANGRAM * 40, "export_formats": ["wav"], "seed": 5, "project": "live"}
    with requests.post(server.url + "/api/v1/tts?response_mode=live", json=body, stream=True, timeout=60) as answer:
        assert "Content-Length" not in answer.headers
        first, *rest = answer.iter_content(None)
    whole = first + b"".join(rest)
    assert len(first) < len(whole) / 10
    (kept,) = (server.data / "outputs" / "live").glob("*.wav")
    np.testing.assert_array_equal(listen(kept), listen(whole))


def test_words_are_where_they_are_said_to_be(server: LiveServer) -> None:
    """Between words there is less energy than in them, and the offsets name the words as they were sent."""
    text = "Stop. Then, after 3 dogs, go!"
    for extra in ({}, {"speed_factor": 1.6, "trim": True}, {"reference_audio_filename": "speaker2"}):
        reply = tts(server, "?response_mode=url", text=text, timestamps=True, **extra).json()
        words = reply["words"]
        assert [w["text"].strip(".,!") for w in words] == ["Stop", "Then", "after", "3", "dogs", "go"]
        assert all(text[w["char_start"] : w["char_end"]] == w["text"] for w in words)
        sound = listen(requests.get(server.url + reply["output_files"][0]["url"], timeout=30).content)
        assert all(0 <= a["start_s"] < a["end_s"] <= len(sound) / RATE + 0.02 for a in words)
        assert all(a["end_s"] <= b["start_s"] + 0.02 for a, b in pairwise(words))
        energy = [np.abs(sound[round(w["start_s"] * RATE) : round(w["end_s"] * RATE)]).mean() for w in words]
        gaps = [(a["end_s"] + 0.03, b["start_s"] - 0.03) for a, b in pairwise(words)]
        pauses = [np.abs(sound[round(a * RATE) : round(b * RATE)]).mean() for a, b in gaps if b - a > 0.05]
        assert pauses, "there is a pause after a sentence"
        assert min(energy) > 5 * max(pauses)


def test_the_thirteen_stock_names_are_thirteen_voices(server: LiveServer) -> None:
    sounds = {}
    for name in OPENAI_VOICES:
        body = {"model": "tts-1", "input": BOTH_ANIMALS, "voice": name, "response_format": "wav"}
        sounds[name] = listen(requests.post(server.url + "/v1/audio/speech", json=body, timeout=60).content)
    assert len(sounds) == 13
    traits = {name: (np.log2(median_f0(s)) * 12, long_term_spectrum(s)) for name, s in sounds.items()}
    names = sorted(traits)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            semitones = abs(traits[a][0] - traits[b][0])
            decibels = np.abs(traits[a][1] - traits[b][1]).mean()
            assert max(semitones, decibels / 2) > 1, f"{a} and {b} sound alike: {semitones:.2f} st, {decibels:.2f} dB"


@pytest.fixture(scope="module")
def humans(server: LiveServer, recordings: Path) -> dict[str, Path]:
    """A man and a woman, as voices of the server."""
    paths = {}
    for who, name in {"man": "jfk.flac", "woman": "linda_johnson_02.flac"}.items():
        sound = listen(recordings / "voices" / name)[: MOST_S * RATE]
        paths[who] = record(server.data / "reference_audio" / f"{who}.flac", sound.astype(np.float32), rate=RATE)
    return paths


@pytest.mark.parametrize("who", ["man", "woman"])
def test_a_reference_moves_speech_towards_it(
    server: LiveServer, plain: Plain, humans: dict[str, Path], who: str
) -> None:
    reference = listen(humans[who])
    text = PANGRAM * 2
    usual = plain(None, text)
    cloned = listen(tts(server, text=text, reference_audio_filename=humans[who].name).content)
    assert median_f0(cloned) == pytest.approx(median_f0(reference), rel=0.03)
    assert spectral_distance(cloned, reference) <= 0.7 * spectral_distance(usual, reference)
    assert len(cloned) == pytest.approx(len(usual), abs=0.03 * RATE)
    assert onset_shift_s(usual, cloned) < 0.03


@pytest.mark.parametrize(("source", "target"), [("man", "woman"), ("woman", "man")])
def test_conversion_moves_a_person_towards_another(
    server: LiveServer, humans: dict[str, Path], source: str, target: str
) -> None:
    before, goal = listen(humans[source]), listen(humans[target])
    with humans[source].open("rb") as file:
        answer = requests.post(
            server.url + "/api/v1/vc",
            files={"input_audio": file},
            data={
                "target_voice_source": humans[target].name,
                "export_formats": "wav",
                "chunk_sec": 4,
                "overlap_sec": 0.2,
            },
            timeout=120,
        )
    assert answer.status_code == 200, answer.text
    after = listen(answer.content)
    assert len(after) == pytest.approx(len(before), abs=RATE * 0.001)
    assert median_f0(after) == pytest.approx(median_f0(goal), rel=0.03)
    assert spectral_distance(after, goal) <= 0.7 * spectral_distance(before, goal)
    assert abs(onset_shift_s(before, after)) < 0.03


def onset_shift_s(before: Sound, after: Sound) -> float:
    """How far onsets have moved at most: the lag, within a quarter of a second, at which the rises in level of each two
    seconds of speech fit best."""
    hop, window, reach = RATE // 200, 400, 50
    one, other = (level_rises(sound, hop) for sound in (before, after))
    shifts = []
    for start in range(reach, min(len(one), len(other)) - window - reach, window // 4):
        part = one[start : start + window]
        moved = [other[start + lag : start + lag + window] for lag in range(-reach, reach + 1)]
        fits = [np.dot(part, there) / (np.linalg.norm(there) + 1e-9) for there in moved]
        shifts.append(abs(int(np.argmax(fits)) - reach) * hop / RATE)
    return max(shifts)


def level_rises(sound: Sound, hop: int) -> Sound:
    """dB by which the level rises from one hop to the next, over a floor 40 dB below the loudest; falls are 0."""
    power = np.square(sound[: len(sound) // hop * hop]).reshape(-1, hop).mean(axis=1)
    power = np.convolve(power, np.hanning(7)[1:-1], "same")
    return np.maximum(0, np.diff(10 * np.log10(power + power.max() * 1e-4)))
