"""S3 tokens: how many, which, and that none is lost where a long recording is heard in windows."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.features import s3_log_mel
from chatterbox_plus.engines.chatterbox.s3_tokenizer import S3Tokenizer, _Codebook, _rotated, _rotations
from chatterbox_plus.errors import InvalidAudio

FRAME = 160  # samples


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def tiny() -> S3Tokenizer:
    torch.manual_seed(1)
    tokenizer = S3Tokenizer(width=32, heads=2, layers=2).eval()
    tokenizer.get_parameter("quantizer._codebook.project_down.weight").data.mul_(4)  # so that tokens differ
    return tokenizer


def noise(frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    swell = torch.sin(torch.arange(frames * FRAME) / 7_000) ** 2
    return 0.1 * swell * torch.randn(frames * FRAME, generator=generator)


@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (4, 1), (5, 2), (101, 26), (3_000, 750)])
def test_a_token_is_40_ms_begun(tiny: S3Tokenizer, frames: int, tokens: int) -> None:
    found = tiny.encode(noise(frames))
    assert found.shape == (tokens,)
    assert found.dtype == torch.int64


def test_tokens_say_what_is_heard(tiny: S3Tokenizer) -> None:
    found = tiny.encode(noise(400))
    assert 0 <= int(found.min()) <= int(found.max()) < 6561
    assert len(set(found.tolist())) > 20


def test_a_limit_is_heard_as_a_shorter_recording_at_the_same_level(tiny: S3Tokenizer) -> None:
    wave = noise(400)
    limited = tiny.encode(wave, 30)
    assert torch.equal(limited, tiny(s3_log_mel(wave)[None, :, :120])[0])
    assert torch.equal(tiny.encode(wave, 1_000), tiny.encode(wave))


@pytest.mark.parametrize("frames", [3_001, 5_200, 5_599, 5_600, 8_000])
def test_windows_of_30_seconds_meet_in_the_middle_of_what_they_share(tiny: S3Tokenizer, frames: int) -> None:
    wave = noise(frames)
    mel = s3_log_mel(wave)
    expected: list[int] = []
    start = 0
    while True:
        tokens = tiny(mel[None, :, start : start + 3_000])[0].tolist()
        expected = expected[: start // 4 + 50 if start else 0] + tokens[50 if start else 0 :]
        if start + 3_000 >= frames and start + 400 != frames - 2_600:
            break
        start += 2_600
    assert tiny.encode(wave).tolist() == expected


@pytest.mark.parametrize("frames", [5_201, 5_300, 5_500, 8_000])
def test_no_second_is_lost_however_long_the_last_window(tiny: S3Tokenizer, frames: int) -> None:
    """s3tokenizer loses up to 2 s at lengths of 0 to 4 s over a multiple of 26 s: there we do not follow upstream."""
    assert len(tiny.encode(noise(frames))) == -(-frames // 4)


@pytest.mark.parametrize(("value", "token"), [(-9.0, 0), (0.0, 3280), (9.0, 6560)])
def test_a_token_is_eight_digits_of_base_three(value: float, token: int) -> None:
    book = _Codebook(4)
    book.project_down.weight.data.zero_()
    book.project_down.bias.data.fill_(value)
    assert book(torch.zeros(1, 1, 4)).tolist() == [[token]]


def test_the_first_digit_counts_least() -> None:
    book = _Codebook(4)
    book.project_down.weight.data.zero_()
    book.project_down.bias.data.copy_(torch.tensor([9.0, 0, 0, 0, 0, 0, 0, -9.0]))
    assert book(torch.zeros(1, 1, 4)).item() == 3280 + 1 - 3**7


def test_attention_hears_distances_not_positions() -> None:
    turn = _rotations(20, 16, torch.device("cpu"), torch.float32)
    one, other = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    left, right = _rotated(one.expand(20, 16), turn), _rotated(other.expand(20, 16), turn)
    torch.testing.assert_close(left[3] @ right[8], left[14] @ right[19])
    torch.testing.assert_close(left[0], one)


def test_less_than_a_frame_is_refused(tiny: S3Tokenizer) -> None:
    with pytest.raises(InvalidAudio, match="too short"):
        tiny.encode(torch.zeros(159))


def test_keys_and_shapes_are_the_official_ones() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(weight.shape) for key, weight in S3Tokenizer().state_dict().items()}
    assert len(shapes) == 4 + 6 * 16 + 2
    assert shapes["encoder.conv1.weight"] == (1280, 128, 3)
    assert shapes["encoder.blocks.5.attn.fsmn_block.weight"] == (1280, 1, 31)
    assert shapes["encoder.blocks.0.mlp.2.weight"] == (1280, 5120)
    assert "encoder.blocks.0.attn.key.bias" not in shapes
    assert shapes["quantizer._codebook.project_down.weight"] == (8, 1280)
