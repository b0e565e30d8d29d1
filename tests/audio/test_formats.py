import av
import pytest

from chatterbox_plus.audio.formats import FORMATS, INPUT_SUFFIXES, NATIVE_FORMATS, OPENAI_FORMATS, OutputFormat


@pytest.mark.parametrize("format", FORMATS.values(), ids=list(FORMATS))
def test_the_codec_is_here_and_takes_the_rates_listed(format: OutputFormat) -> None:
    supported = av.Codec(format.codec, "w").audio_rates
    assert supported is None or not format.rates or set(format.rates) <= set(supported)


def test_every_list_of_formats_is_of_known_ones() -> None:
    assert {*NATIVE_FORMATS, *OPENAI_FORMATS} == set(FORMATS)


def test_what_is_made_with_a_header_can_be_sent_back_in() -> None:
    assert {f.suffix for f in FORMATS.values() if f.container} <= set(INPUT_SUFFIXES)
