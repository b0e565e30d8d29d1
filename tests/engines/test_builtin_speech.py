"""Plain speech of the built-in engine: the same bytes, every language, words in their places."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from chatterbox_plus.engines.base import Passage, Piece
from chatterbox_plus.engines.builtin.engine import LEAD_S, NOTHING_S, TAIL_S, BuiltinEngine
from chatterbox_plus.engines.builtin.espeak import Espeak
from chatterbox_plus.engines.builtin.levels import active_rms
from chatterbox_plus.errors import Cancelled, InvalidOption, ModelLoadError

HELLO = "Hello world, this is a test of the voice."


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine()


def say(engine: BuiltinEngine, text: str, language: str = "en", voice: str | None = None, seed: int = 1) -> Piece:
    return engine.speak(Passage(0, text, language, seed, voice), None, lambda: False)


def digest(piece: Piece) -> str:
    return hashlib.sha256(piece.clip.samples.tobytes()).hexdigest()


@pytest.mark.parametrize("voice", [None, "f3", "whisper", "adam"])
def test_the_same_passage_gives_the_same_bytes_whatever_was_said_before(
    engine: BuiltinEngine, voice: str | None
) -> None:
    first = digest(say(engine, HELLO, voice=voice))
    say(engine, "Something else entirely!", "de", "whisper")
    assert digest(say(engine, HELLO, voice=voice)) == first
    assert digest(say(BuiltinEngine(), HELLO, voice=voice)) == first


def test_another_process_says_the_same_bytes(engine: BuiltinEngine) -> None:
    code = f"""
import hashlib
from chatterbox_plus.engines.base import Passage
from chatterbox_plus.engines.builtin.engine import BuiltinEngine
piece = BuiltinEngine().speak(Passage(0, {HELLO!r}, "en", 1, "whisper"), None, lambda: False)
print(hashlib.sha256(piece.clip.samples.tobytes()).hexdigest())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(say(engine, HELLO, voice="whisper"))


def test_seeds_change_neither_duration_nor_anything_else(engine: BuiltinEngine) -> None:
    assert len({digest(say(engine, HELLO, voice="whisper", seed=seed)) for seed in (0, 1, 2**32 - 1)}) == 1


SENTENCES = {
    "af": "Goeie môre, hoe gaan dit?",
    "ar": "مرحبا بالعالم",
    "bg": "Добро утро, как сте?",
    "bn": "আপনি কেমন আছেন?",
    "ca": "Bon dia, com estàs?",
    "cs": "Dobrý den, jak se máte?",
    "cy": "Bore da, sut ydych chi?",
    "da": "Godmorgen, hvordan har du det?",
    "de": "Guten Morgen, wie geht es dir?",
    "el": "Καλημέρα, τι κάνεις;",
    "en": "Good morning, how are you?",
    "eo": "Bonan matenon, kiel vi fartas?",
    "es": "Buenos días, ¿cómo estás?",
    "et": "Tere hommikust, kuidas läheb?",
    "eu": "Egun on, zer moduz?",
    "fa": "صبح بخیر، حال شما چطور است؟",
    "fi": "Hyvää huomenta, mitä kuuluu?",
    "fr": "Bonjour, comment allez-vous ?",
    "ga": "Maidin mhaith, conas atá tú?",
    "he": "בוקר טוב, מה שלומך?",
    "hi": "नमस्ते, आप कैसे हैं?",
    "hr": "Dobro jutro, kako ste?",
    "hu": "Jó reggelt, hogy vagy?",
    "id": "Selamat pagi, apa kabar?",
    "is": "Góðan daginn, hvernig hefurðu það?",
    "it": "Buongiorno, come stai?",
    "ja": "おはようございます。",
    "ka": "დილა მშვიდობისა, როგორ ხარ?",
    "kl": "Ullaakkut 8, qanoq ippit?",
    "ko": "안녕하세요, 잘 지내세요?",
    "lt": "Labas rytas, kaip sekasi?",
    "lv": "Labrīt, kā tev klājas?",
    "nl": "Goedemorgen, hoe gaat het?",
    "no": "God morgen, hvordan har du det?",
    "pl": "Dzień dobry, jak się masz?",
    "pt-BR": "Bom dia, como vai você?",
    "ro": "Bună dimineața, ce mai faci?",
    "ru": "Доброе утро, как дела?",
    "sk": "Dobré ráno, ako sa máš?",
    "sv": "God morgon, hur mår du?",
    "sw": "Habari za asubuhi?",
    "ta": "காலை வணக்கம், எப்படி இருக்கிறீர்கள்?",
    "th": "สวัสดีครับ สบายดีไหม",
    "tr": "Günaydın, nasılsınız?",
    "uk": "Доброго ранку, як справи?",
    "ur": "صبح بخیر، آپ کیسے ہیں؟",
    "vi": "Chào buổi sáng, bạn khỏe không?",
    "zh": "早上好，你好吗？",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_it_speaks(engine: BuiltinEngine, language: str) -> None:
    text = SENTENCES[language]
    piece = say(engine, text, language)
    assert 0.5 < piece.clip.duration_s < 5
    assert active_rms(piece.clip.samples, 24_000) == pytest.approx(0.1, rel=0.4)
    assert piece.words
    check_words(text, piece)


def check_words(text: str, piece: Piece) -> None:
    """Words are in order, apart from each other, inside the sound and inside the text."""
    time, char = 0.0, 0
    for word in piece.words:
        assert time <= word.start_s < word.end_s <= piece.clip.duration_s + 1e-9
        assert char <= word.char_start < word.char_end <= len(text)
        time, char = word.end_s, word.char_end


def test_each_word_is_there_once_under_its_own_letters(engine: BuiltinEngine) -> None:
    text = "I am out of the house, and Dr. Smith has 1234 apples; don't you? It's well-known."
    piece = say(engine, text)
    check_words(text, piece)
    words = [text[word.char_start : word.char_end] for word in piece.words]
    assert words == [
        *("I", "am", "out", "of", "the", "house", "and", "Dr", "Smith", "has", "1234", "apples"),
        *("don't", "you", "It's", "well-known"),
    ]


def test_a_word_sounds_while_its_time_lasts(engine: BuiltinEngine) -> None:
    """The pause after a full stop belongs to no word, and each word's own time is loud."""
    text = "Alpha. Bravo. Charlie."
    piece = say(engine, text)
    level = active_rms(piece.clip.samples, 24_000)
    silent = np.ones(len(piece.clip.samples), bool)
    for word in piece.words:
        span = slice(round(word.start_s * 24_000), round(word.end_s * 24_000))
        silent[span] = False
        assert active_rms(piece.clip.samples[span], 24_000) > level / 3
    assert len(piece.words) == 3
    assert silent.sum() > 0.3 * 24_000
    assert np.abs(piece.clip.samples[silent]).max() < level / 3


ODD = {
    "blank": "   ",
    "dots": "…",
    "dash": "—",
    "quote": '"',
    "emoji": "😀 hi 👍🏽 family 👨‍👩‍👧",
    "only emoji": "🤷‍♀️",
    "sign": ">",
    "markup": '<speak>hi <break time="9s"/></speak>',
    "phonemes": "[[h@loU]] world",
    "nul": "a\0b\0",
    "embedded command": "hello \x0150P world \x1b\x7f\x85",
    "surrogate": "a \ud800 b",
    "private": "\ue000\uf8ff x",
    "mixed": "Привет мир hello العربية 你好 สวัสดี",
    "long word": "a" * 400,
    "digits": "1" * 200,
    "marks": "?" * 60 + "!" * 60,
    "zero width": "a\u200bb zero\u00adwidth \u202ebidi",
    "letters of mathematics": "𝓗𝓮𝓵𝓵𝓸",
    "combining": "e\u0301\u0301\u0301 n\u0303",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("language", ["en", "th", "ar", "zh"])
def test_any_text_is_sound_or_a_short_silence(engine: BuiltinEngine, name: str, language: str) -> None:
    piece = say(engine, ODD[name], language)
    assert np.isfinite(piece.clip.samples).all()
    assert piece.clip.duration_s >= NOTHING_S
    assert piece.clip.samples.dtype == np.float32
    check_words(ODD[name], piece)


def test_markup_is_read_out_and_not_obeyed(engine: BuiltinEngine) -> None:
    assert say(engine, ODD["markup"]).clip.duration_s < 9
    plain = say(engine, "hello \x0150P world").clip.duration_s
    assert plain == pytest.approx(say(engine, "hello  50P world").clip.duration_s)


@pytest.mark.parametrize("voice", [None, "f2", "Mr serious", "m3", "klatt2", "linda", "Alicia"])
def test_silence_around_speech_and_its_level_are_the_same_for_all_voices(
    engine: BuiltinEngine, voice: str | None
) -> None:
    samples = say(engine, HELLO, voice=voice).clip.samples
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 0.01) / 24_000
    assert loud[0] <= LEAD_S + 0.03
    assert len(samples) / 24_000 - loud[-1] <= TAIL_S + 0.05
    assert active_rms(samples, 24_000) == pytest.approx(0.1, rel=0.4)
    assert np.abs(samples).max() <= 0.8913  # -1 dBFS


def test_an_unknown_voice_or_language_is_refused(engine: BuiltinEngine) -> None:
    with pytest.raises(InvalidOption):
        say(engine, "hi", voice="nobody")
    with pytest.raises(InvalidOption):
        say(engine, "hi", language="xx")


def test_a_cancel_stops_a_long_text(engine: BuiltinEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.builtin.espeak._ASK_EVERY_S", -1.0)
    with pytest.raises(Cancelled):
        engine.speak(Passage(0, HELLO * 50, "en", 1), None, lambda: True)
    assert digest(say(engine, HELLO)) == digest(say(BuiltinEngine(), HELLO))


def test_a_deep_path_to_the_data_works(tmp_path: Path) -> None:
    """espeak-ng has 160 bytes for the path of its data; installations may be deeper."""
    deep = tmp_path.joinpath(*["deep" * 12] * 4)
    data = shutil.copytree(espeakng_loader.get_data_path(), deep / "espeak-ng-data", copy_function=link)
    assert len(str(data)) > 200
    far = Espeak(data=data)
    assert np.array_equal(far.say("hello", "gmw/en").samples, Espeak().say("hello", "gmw/en").samples)


def link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def test_missing_data_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="espeakng-loader") as error:
        Espeak(data=tmp_path)
    assert str(tmp_path) not in str(error.value)


def test_where_the_system_keeps_a_closed_library_a_copy_is_loaded() -> None:
    """Fresh state even if closing does nothing, as with musl. In a process of its own, which is spoilt by it."""
    code = f"""
import hashlib
from chatterbox_plus.engines.builtin import espeak
espeak._unload = lambda library: None
engine = espeak.Espeak()
for _ in range(3):
    print(hashlib.sha256(engine.say({HELLO!r}, "gmw/en").samples.tobytes()).hexdigest())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = hashlib.sha256(Espeak().say(HELLO, "gmw/en").samples.tobytes()).hexdigest()
    assert run.stdout.split() == [expected] * 3
