"""Sound leaves while its passage is still being made, and nothing on its way holds it back."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatterbox_plus.audio.formats import OPENAI_FORMATS, SPEECH_RATE
from chatterbox_plus.errors import GenerationError
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.synthesis.finish import Finish
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.pipeline import Speaking
from chatterbox_plus.synthesis.plan import make_plan
from chatterbox_plus.synthesis.takes import Takes
from chatterbox_plus.synthesis.voices import Speaker
from tests.fakes import CHARACTER_S, TONE
from tests.synthesis.fragments import BrokenHost, FragmentHost
from tests.synthesis.houses import commission, never, tone_house

TEXT = "A first sentence that is rather long, so that it lasts. And a second one."
LAG_S = 0.5  # codecs, and stretching of its input, hold back less than that


def speaking(host: FragmentHost, text: str = TEXT, *, live: bool = True, **more: Any) -> Speaking:
    options = SpeechOptions(text=text, smart_batch_short_sentences=False)
    plan = make_plan(options, Speaker("default"), host.info, 1)
    return Speaking(plan, host, None, cancel=never(), timeout_s=20, live=live, **more)  # type: ignore[arg-type]


def test_a_fragment_leaves_before_the_next_one_is_made() -> None:
    host = FragmentHost(0.1)
    work, given_s = speaking(host), 0.0
    for block in work.blocks():
        given_s += len(block) / SPEECH_RATE
        assert host.made_s <= given_s + 1e-9
    assert given_s == pytest.approx(work.spoken_s)


@pytest.mark.parametrize("rate", [24_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("size_s", [0.001, 0.04, 10.0])
def test_in_fragments_it_is_the_same_sound_and_the_same_words(rate: int, size_s: float) -> None:
    live, whole = speaking(FragmentHost(size_s, rate=rate)), speaking(FragmentHost(rate=rate), live=False)
    heard, expected = np.concatenate(list(live.blocks())), np.concatenate(list(whole.blocks()))
    np.testing.assert_allclose(heard, expected, atol=1e-6)
    assert live.words == whole.words


def test_words_are_known_with_the_end_of_their_passage() -> None:
    work = speaking(FragmentHost(0.1))
    seen = [(work.saying is not None, len(work.words)) for _ in work.blocks()]
    first = len(TEXT.partition(". ")[0].split())
    ends = [number for number, (saying, _) in enumerate(seen) if not saying]
    assert len(ends) == 2
    assert all(count == 0 for _, count in seen[: ends[0]])
    assert [seen[end][1] for end in ends] == [first, len(TEXT.split())]
    last = work.words[-1]
    assert TEXT[last.char_start : last.char_end] == "one."
    assert last.end_s == pytest.approx(work.spoken_s)


def test_who_stops_listening_stops_the_engine() -> None:
    host = FragmentHost(0.1)
    blocks = speaking(host).blocks()
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert host.closed == 1


@pytest.mark.parametrize(("value", "length"), [(0.5, 0), (np.nan, 100)])
def test_what_cannot_be_heard_is_an_error(value: float, length: int) -> None:
    with pytest.raises(GenerationError):
        list(speaking(BrokenHost(value, length)).blocks())


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.5, 4.0])
@pytest.mark.parametrize("size_s", [0.005, 0.04, 1.0])
def test_another_speed_holds_nothing_back_and_hears_no_fragments(speed: float, size_s: float, tmp_path: Path) -> None:
    def finished(live: bool) -> Finish:
        options = SpeechOptions(text=TEXT)
        return Finish(options, speed=speed, rate=SPEECH_RATE, folder=tmp_path, cancel=threading.Event())

    host = FragmentHost(size_s)
    given, parts = 0, []
    for block in finished(live=True).run(speaking(host).blocks()):
        given += len(block)
        parts.append(block)
        assert given / SPEECH_RATE >= (host.made_s - size_s - LAG_S) / speed
    whole = np.concatenate(list(finished(live=False).run(speaking(FragmentHost(), live=False).blocks())))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize("format", sorted({*OPENAI_FORMATS, "wav", "mp3", "flac"}))
def test_every_format_leaves_in_the_middle_of_a_passage(format: str, tmp_path: Path) -> None:
    with tone_house(tmp_path) as (studio, host):
        fragments = FragmentHost(0.02)
        host.speak_live = fragments.speak_live  # type: ignore[method-assign]
        text = "words without an end " * 10
        with studio.speak_live(SpeechOptions(text=text), cancel=never(), format=format, speed=1.1) as live:
            next(iter(live))
            assert fragments.made_s < LAG_S < len(text) * CHARACTER_S


@pytest.mark.parametrize(
    ("fields", "way"),
    [
        ({}, "live"),
        ({"streaming": "exact"}, "whole"),
        ({"trim": True}, "whole"),
        ({"use_auto_editor": True}, "whole"),
        ({"normalize_audio": True}, "whole"),
        ({"reuse_takes": True}, "whole"),
    ],
)
def test_it_is_spoken_live_where_somebody_can_hear_it_so(fields: dict[str, Any], way: str, tmp_path: Path) -> None:
    with tone_house(tmp_path) as (studio, host):
        fragments = FragmentHost()
        host.speak_live, host.speak = fragments.speak_live, fragments.speak  # type: ignore[method-assign, assignment]
        options = SpeechOptions.model_validate({"text": TEXT, "export_formats": ["wav"], **fields})
        with studio.speak_live(options, cancel=never()) as live:
            assert list(live)
        studio.speak(options.model_copy(update={"reuse_takes": False}), cancel=never())
        assert [asked[0] for asked in fragments.asked] == [way, "whole"]


def test_what_is_kept_of_a_live_reply_is_what_was_heard(tmp_path: Path) -> None:
    with tone_house(tmp_path) as (studio, host):
        host.speak_live = FragmentHost(0.02).speak_live  # type: ignore[method-assign]
        with studio.speak_live(
            SpeechOptions(text=TEXT, export_formats=("flac",)), cancel=never(), format="wav"
        ) as live:
            heard = b"".join(live)
        assert live.result is not None
        (file,) = live.result.files
        assert (studio.library.outputs.root / file.path).read_bytes()[44:] == heard[44:]


def test_live_sound_is_no_take(tmp_path: Path) -> None:
    takes = Takes(ContentStore(tmp_path, 10**6))
    with pytest.raises(ValueError, match="takes"):
        speaking(FragmentHost(), takes=takes)


@pytest.mark.parametrize("crowd", [False, True])
def test_a_crash_costs_one_passage_unless_the_engine_is_a_crowd(crowd: bool, tmp_path: Path) -> None:
    texts = ["First.", "Second.", "Third."]
    with tone_house(tmp_path) as (studio, host):
        fragments = FragmentHost()
        host.info = replace(TONE, crowd=crowd, joins_sentences=False)
        host.speak = fragments.speak  # type: ignore[assignment, method-assign]
        options = SpeechOptions(text=" ".join(texts), to_lowercase=False)
        studio.speak(options, cancel=never(), commission=commission())
        together = [asked[1] for asked in fragments.asked if asked[1]]
        assert together == ([texts] if crowd else [[text] for text in texts])
