"""Names are exactly what the contract says, and safe on every system."""

import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.errors import InvalidOption, PermissionDenied
from chatterbox_plus.library.naming import (
    MAX_NAME_BYTES,
    conversion_stem,
    is_device,
    join_stem,
    output_name,
    safe_folder,
    safe_name,
    speech_stem,
)

WHEN = datetime(2025, 6, 22, 14, 30, 22, 456)
STAMP = "2025-06-22_143022_000456"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 0.75, "seed": 42}, "temp0.75_seed42"),
        ({"temperature": 0.75}, "temp0.75"),
        ({"temperature": 1.0, "exaggeration": 0.5, "speed_factor": 1.0}, "temp1"),
        ({"temperature": None}, "tempauto"),
        ({"temperature": 0.8, "exaggeration": 0.7, "speed_factor": 1.25}, "temp0.8_exag0.7_speed1.25"),
        ({"temperature": 0.8, "exaggeration": 0.0, "seed": 2**32 - 1}, "temp0.8_seed4294967295_exag0"),
        ({"temperature": 0.8, "trim": True, "trim_threshold_ms": 300}, "temp0.8_trim300"),
        ({"temperature": 0.8, "trim": False, "trim_threshold_ms": 300}, "temp0.8"),
    ],
)
def test_speech_is_named_by_what_is_not_default(options, expected):
    assert speech_stem(WHEN, **options) == f"tts_{STAMP}_{expected}"


@pytest.mark.parametrize(
    ("chunk", "overlap", "voice", "expected"),
    [
        (60, 0.1, "speaker2.wav", "chunk60_overlap0.1_voicespeaker2"),
        (30, 0.0, "test_voices/linda_johnson_01.mp3", "chunk30_overlap0_voicelinda_johnson_01"),
        (60, 5.0, "José Ñandú.flac", "chunk60_overlap5_voiceJose_Nandu"),
        (60, 0.1, "голос.wav", "chunk60_overlap0.1_voicevoice"),
        (60, 0.1, "a|b:c\\d e.wav", "chunk60_overlap0.1_voiced_e"),
        (60, 0.1, "x" * 300, "chunk60_overlap0.1_voice" + "x" * 40),
    ],
)
def test_conversion_always_says_chunk_overlap_and_an_ascii_voice(chunk, overlap, voice, expected):
    assert conversion_stem(WHEN, chunk_sec=chunk, overlap_sec=overlap, voice=voice) == f"vc_{STAMP}_{expected}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"files": 2, "normalize_levels": True}, "2files_leveled"),
        ({"files": 3}, "3files"),
        ({"files": 3, "silences": 2, "pause_duration_ms": 600, "pause_variation_ms": 200}, "3files_sil2"),
        ({"files": 3, "pause_duration_ms": 600, "pause_variation_ms": 200}, "3files_pause600v200"),
        ({"files": 3, "pause_duration_ms": 600}, "3files_pause600"),
        ({"files": 3, "pause_variation_ms": 200}, "3files"),
        (
            {"files": 4, "crossfade_ms": 100, "normalize_levels": True, "trim": True, "trim_threshold_ms": 150},
            "4files_fade100_leveled_trim150",
        ),
    ],
)
def test_joins_are_named_by_what_was_done(options, expected):
    assert join_stem(WHEN, **options) == f"concat_{STAMP}_{expected}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("my_final.v2", "my_final.v2"),
        ("my_final.v2.wav", "my_final.v2"),
        ("Episode 1.MP3", "Episode 1"),
        ("twice.wav.mp3", "twice"),
        ("a/b", "a_b"),
        ("什么.flac", "什么"),
        (".wav", "wav"),
    ],
)
def test_a_custom_output_name_loses_only_an_audio_extension(asked, expected):
    assert output_name(asked) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("a:b", "a_b"),
        ("a/b\\c", "a_b_c"),
        ("tab\there\nline\x7f", "tab_here_line_"),
        ("  . name . ", "name"),
        ("trailing...", "trailing"),
        (".hidden", "hidden"),
        ("CON", "CON_"),
        ("nul.wav", "nul_.wav"),
        ("com1.tar.gz", "com1_.tar.gz"),
        ("LPT¹.wav", "LPT¹_.wav"),
        ("aux .wav", "aux_.wav"),
        ("console.wav", "console.wav"),
        ("COM10.wav", "COM10.wav"),
        ("evil\u202egpj.wav", "evilgpj.wav"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("e\u0301", "é"),
        ("e\u200d\u0301", "é"),
        ("دەنگ", "دەنگ"),
        ("声音 😀.wav", "声音 😀.wav"),
        ("%2e%2e%2f", "%2e%2e%2f"),
        ("[x]*.wav", "[x]_.wav"),
        ("~tilde.wav", "~tilde.wav"),
        ("é" * 150 + ".wav", "é" * 98 + ".wav"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_name_is_made_safe_and_keeps_its_script(part, expected):
    assert safe_name(part) == expected


@pytest.mark.parametrize(
    "part",
    [
        "..",
        "../x",
        "a/../b",
        "..\\x",
        "/etc",
        "\\\\host\\share",
        "C:\\x",
        "c:",
        "~/x",
        "...",
        ".. ",
        ".\u200b.",
        "~root/x",
    ],
)
def test_a_name_that_leads_out_is_refused_never_repaired(part):
    with pytest.raises(PermissionDenied):
        safe_name(part)


@pytest.mark.parametrize("part", ["", ".", " ", "\u200b", "a\0b", "\ud800", " . "])
def test_what_cannot_be_a_name_is_refused(part):
    with pytest.raises(InvalidOption):
        safe_name(part)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("", "."),
        ("book/ch1", "book/ch1"),
        ("book\\ch1/", "book/ch1"),
        ("./a//b", "a/b"),
        ("a:b", "a_b"),
        ("con/x", "con_/x"),
    ],
)
def test_a_folder_is_made_safe_part_by_part(folder, expected):
    assert safe_folder(folder).as_posix() == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=120))
def test_every_safe_name_is_storable_everywhere_and_stays_as_it_is(part):
    try:
        name = safe_name(part)
    except (PermissionDenied, InvalidOption):
        return
    assert safe_name(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set('<>:"/\\|?*\0')
    assert name[0] not in ". "
    assert name[-1] not in ". "
    assert not is_device(name)
