"""Covers, drawn here."""

import av
import numpy as np


def picture(kind: str) -> bytes:
    """A red square, "jpeg" or "png"."""

    codec = av.CodecContext.create("mjpeg" if kind == "jpeg" else "png", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width = codec.height = 32
    codec.pix_fmt = "yuvj420p" if kind == "jpeg" else "rgb24"
    codec.framerate = 1
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format=codec.pix_fmt)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
