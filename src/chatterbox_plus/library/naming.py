"""Names: made safe when they come from outside, and composed when they are ours.

Reading never repairs a name (`parts` refuses or takes it literally); writing does (`safe_name`, `safe_folder`).
A name that leads out of its folder is an error in both, never quietly led somewhere else.
"""

import re
import unicodedata
from datetime import datetime
from pathlib import Path, PurePosixPath

from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import InvalidOption, PermissionDenied

MAX_NAME_BYTES = 200  # of the 255 that file systems allow: room for counters, sidecar and temporary endings
MAX_FOLDER_BYTES = 512  # of the 1024 (macOS; 4096 on Linux) that a whole path may have
MAX_SHOWN = 120  # characters of a name that an error repeats

_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"/\\|?*', "_"))
_DRIVE = re.compile(r"[A-Za-z]:(?:/|$)")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any extension, superscript digits too
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])[ .]*(?:\.|$)", re.IGNORECASE)


def shown(name: str) -> str:
    """A name as an error may repeat it: printable, not endless."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[: MAX_SHOWN + 1])
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def nfc(text: str) -> str:
    """One spelling for one name: macOS stores é as two characters, everybody else sends one."""
    return unicodedata.normalize("NFC", text)


def any_spelling(path: Path) -> str:
    """The same for all paths that some file system takes for one."""
    return nfc(str(path)).casefold()


def is_device(part: str) -> bool:
    """Whether Windows would open a device under this name: CON, nul.wav, COM1."""
    return _DEVICE.match(part) is not None


def parts(name: str) -> tuple[str, ...]:
    """The components of a relative path in forward or backward slashes; `.` and empty ones are left out.

    Raises PermissionDenied for whatever leads out (`..`, absolute, a drive, a share, a home) and InvalidOption for what
    cannot be a name (NUL, broken Unicode).
    """
    _check_text(name)
    path = name.replace("\\", "/")
    found = tuple(part for part in path.split("/") if part not in ("", "."))
    home = bool(found) and found[0].startswith("~") and (found[0] == "~" or len(found) > 1)
    if path.startswith("/") or _DRIVE.match(path) or home or any(_leads_up(part) for part in found):
        raise PermissionDenied(f"The name leads out of its folder: {shown(name)}")
    return found


def safe_name(part: str) -> str:
    """One path component that every system can store; a known audio extension outlives the cut to 200 bytes of UTF-8.

    Separators and `<>:"|?*` become `_`, as do control characters; invisible format characters (zero-width, direction
    overrides) go; letters of every script stay, in NFC. Raises as `parts` does, and InvalidOption if nothing is left.
    """
    parts(part)
    text = nfc("".join(c for c in part if unicodedata.category(c) != "Cf"))
    text = "".join("_" if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    parts(text)  # a `..` may have hidden behind a zero-width character
    text = _trim(text.translate(_FORBIDDEN))
    if is_device(text):
        stem, dot, rest = text.partition(".")
        text = f"{stem.rstrip()}_{dot}{rest}"
    text = _cut(text)
    if not text:
        raise InvalidOption("The name has nothing in it that can be stored.")
    return text


def safe_folder(folder: str) -> PurePosixPath:
    """A relative folder with every component safe; "", "." and "./" are the root itself. At most 512 bytes."""
    safe = PurePosixPath(*(safe_name(part) for part in parts(folder)))
    if len(str(safe).encode()) > MAX_FOLDER_BYTES:
        raise InvalidOption("The folder's name is too long.")
    return safe


def without_audio_suffix(name: str) -> str:
    """`a.wav` → `a`, `a.wav.mp3` → `a`, `my_final.v2` stays."""
    while (dot := name.rfind(".")) > 0 and name[dot:].lower() in INPUT_SUFFIXES:
        name = name[:dot]
    return name


def output_name(name: str) -> str:
    """A custom `output_filename` as one safe stem: only a known audio extension is taken off."""
    return safe_name(without_audio_suffix(safe_name(name)))


def speech_stem(
    when: datetime,
    *,
    temperature: float | None,
    seed: int = 0,
    exaggeration: float | None = None,
    speed_factor: float = 1.0,
    trim: bool = False,
    trim_threshold_ms: int = 200,
) -> str:
    """`tts_2025-06-22_143022_000456_temp0.75_seed42`.

    temperature: the one in effect; None (the model's own) is `tempauto`, so that the part is always there and no number
    is made up. seed: as requested, 0 is left out. exaggeration: 0.5 and None are left out.
    """
    bits = ["tempauto" if temperature is None else f"temp{temperature:g}"]
    if seed:
        bits.append(f"seed{seed}")
    if exaggeration is not None and exaggeration != 0.5:
        bits.append(f"exag{exaggeration:g}")
    if speed_factor != 1.0:
        bits.append(f"speed{speed_factor:g}")
    if trim:
        bits.append(f"trim{trim_threshold_ms}")
    return _stem("tts", when, bits)


def conversion_stem(when: datetime, *, chunk_sec: int, overlap_sec: float, voice: str) -> str:
    """`vc_2025-06-22_143022_000456_chunk60_overlap0.1_voicespeaker2`. voice: as asked for, as a path too."""
    return _stem("vc", when, [f"chunk{chunk_sec}", f"overlap{overlap_sec:g}", f"voice{_ascii_voice(voice)}"])


def join_stem(
    when: datetime,
    *,
    files: int,
    silences: int = 0,
    pause_duration_ms: int = 0,
    pause_variation_ms: int = 0,
    crossfade_ms: int = 0,
    normalize_levels: bool = False,
    trim: bool = False,
    trim_threshold_ms: int = 200,
) -> str:
    """`concat_2025-06-22_143022_000456_3files_pause600v200_fade100_leveled_trim200`; silences hide the pause."""
    bits = [f"{files}files"]
    if silences:
        bits.append(f"sil{silences}")
    elif pause_duration_ms:
        bits.append(f"pause{pause_duration_ms}" + (f"v{pause_variation_ms}" if pause_variation_ms else ""))
    if crossfade_ms:
        bits.append(f"fade{crossfade_ms}")
    if normalize_levels:
        bits.append("leveled")
    if trim:
        bits.append(f"trim{trim_threshold_ms}")
    return _stem("concat", when, bits)


def _stem(kind: str, when: datetime, bits: list[str]) -> str:
    """Local time, as people expect of file names (sidecars say UTC); a naive `when` is local already."""
    return "_".join([kind, when.astimezone().strftime("%Y-%m-%d_%H%M%S_%f"), *bits])


def _ascii_voice(voice: str) -> str:
    last = without_audio_suffix(voice.replace("\\", "/").rsplit("/", 1)[-1])
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.-]+", "_", plain)[:40].strip("_.-") or "voice"


def _check_text(name: str) -> None:
    if "\0" in name:
        raise InvalidOption("A name cannot hold a NUL character.")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidOption("The name is not valid Unicode.") from None


def _leads_up(part: str) -> bool:
    """`..`, and what some Windows takes for it: `.. `, `...`."""
    bare = part.strip()
    return bare.startswith("..") and not bare.strip(". ")


def _trim(text: str) -> str:
    """Without dots and blanks at the ends: Windows drops them at the end, at the start they hide a file."""
    while (trimmed := text.strip().strip(".")) != text:
        text = trimmed
    return text


def _cut(text: str) -> str:
    if len(text.encode()) <= MAX_NAME_BYTES:
        return text
    dot = text.rfind(".")
    suffix = text[dot:] if dot > 0 and text[dot:].lower() in INPUT_SUFFIXES else ""
    room = MAX_NAME_BYTES - len(suffix)
    stem = text[: len(text) - len(suffix)].encode()[:room].decode("utf-8", "ignore")
    return _trim(stem) + suffix
