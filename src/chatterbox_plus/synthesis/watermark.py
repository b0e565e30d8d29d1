"""Whether audio can be marked as made by a machine, before any is made."""

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.errors import MissingExtra


def check_watermark(disabled: bool, info: EngineInfo) -> None:
    """Raises MissingExtra if a watermark is asked for that a neural model cannot give here.

    The built-in engine never gives one: that is a note (contract, settled point 5).
    """
    if not disabled and not info.preview and not info.marks_audio:
        raise MissingExtra(
            "disable_watermark=false needs the watermarker: pip install 'chatterbox-plus[watermark]'",
            param="disable_watermark",
        )
