"""What a file says about itself: names, a language, a picture."""

import struct
from typing import Literal

from chatterbox_plus.errors import InvalidOption

GENRE = "Audiobook"
LARGEST_COVER_BYTES = 16 * 2**20
UNDETERMINED = "und"  # ISO 639-2 for a language that is not known

# ISO 639-1 and the terminological code of ISO 639-2 for the same language, in one word.
_PAIRS = """
aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bibis bmbam bnben bobod
brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell eneng eoepo
esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb hihin
hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav kakat
kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin
lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep ngndo
nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh rnrun
roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun
svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd
uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul
"""
_LANGUAGES = {pair[:2]: pair[2:] for pair in _PAIRS.split()}
_LANGUAGES["cmn"] = "zho"  # ISO 639-3 has a code for Mandarin, ISO 639-2 only one for Chinese

_ID3_HEADER = struct.Struct(">3sBBB4s")
_ID3_FRAME = struct.Struct(">4sIH")


def iso_639_2(language: str | None) -> str:
    """The three letters that files name a language by: "pt-BR" -> "por"; "und" where there are none."""
    base = (language or "").replace("_", "-").partition("-")[0].lower()
    three_letters = len(base) == 3 and base.isascii() and base.isalpha()
    return _LANGUAGES.get(base, base if three_letters else UNDETERMINED)


def plain(text: str) -> str:
    """A text as a tag holds it: on one line, nothing in it that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def cover_type(cover: bytes) -> Literal["jpeg", "png"]:
    """What kind of picture it is. Raises InvalidOption for other kinds and above LARGEST_COVER_BYTES."""
    if len(cover) > LARGEST_COVER_BYTES:
        raise InvalidOption(f"the cover may have at most {LARGEST_COVER_BYTES // 2**20} MiB", param="cover")
    if cover.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if cover.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    raise InvalidOption("the cover must be a JPEG or PNG picture", param="cover")


def id3(
    *, title: str, album: str, artist: str, track: int, tracks: int, language: str | None, cover: bytes | None
) -> bytes:
    """An ID3v2.3 tag: the version that every player reads, the oldest included. Raises what cover_type raises."""
    frames = [
        _text(b"TIT2", title),
        _text(b"TALB", album),
        _text(b"TPE1", artist),
        _text(b"TPE2", artist),
        _text(b"TRCK", f"{track}/{tracks}"),
        _text(b"TCON", GENRE),
    ]
    if iso_639_2(language) != UNDETERMINED:
        frames.append(_text(b"TLAN", iso_639_2(language)))
    if cover is not None:
        head = b"\0image/" + cover_type(cover).encode() + b"\0\x03\0"  # front cover, described by nothing
        frames.append(_frame(b"APIC", head + cover))
    body = b"".join(frames)
    seven_bits = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return _ID3_HEADER.pack(b"ID3", 3, 0, 0, seven_bits) + body


def _text(name: bytes, text: str) -> bytes:
    """Latin-1 where that is enough (numbers and codes must be), else UTF-16: version 2.3 has no UTF-8."""
    text = plain(text)
    if text.isascii():
        return _frame(name, b"\0" + text.encode("ascii"))
    return _frame(name, b"\x01\xff\xfe" + text.encode("utf-16-le"))


def _frame(name: bytes, content: bytes) -> bytes:
    return _ID3_FRAME.pack(name, len(content), 0) + content
