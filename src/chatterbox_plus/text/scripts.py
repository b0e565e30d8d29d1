"""Which script a text is in, and whether a language is written in it."""

import unicodedata
from collections import Counter

# First word of a letter's Unicode name -> (script, languages commonly written in it, the likeliest first).
_SCRIPTS = {
    "ARABIC": ("Arabic", "ar fa ur ku sd ug ps"),
    "ARMENIAN": ("Armenian", "hy hyw"),
    "BENGALI": ("Bengali", "bn as bpy"),
    "CHEROKEE": ("Cherokee", "chr"),
    "CJK": ("Chinese", "cmn zh yue hak ja"),
    "CYRILLIC": ("Cyrillic", "ru uk be bg mk sr kk ky tt ba cv nog az uz tk"),
    "DEVANAGARI": ("Devanagari", "hi mr ne kok"),
    "ETHIOPIC": ("Ethiopic", "am ti"),
    "GEORGIAN": ("Georgian", "ka"),
    "GREEK": ("Greek", "el grc"),
    "GUJARATI": ("Gujarati", "gu"),
    "GURMUKHI": ("Gurmukhi", "pa"),
    "HANGUL": ("Korean", "ko"),
    "HEBREW": ("Hebrew", "he yi"),
    "HIRAGANA": ("Japanese", "ja"),
    "KANNADA": ("Kannada", "kn"),
    "KATAKANA": ("Japanese", "ja"),
    "MALAYALAM": ("Malayalam", "ml"),
    "MYANMAR": ("Myanmar", "my shn"),
    "ORIYA": ("Odia", "or"),
    "SINHALA": ("Sinhala", "si"),
    "TAMIL": ("Tamil", "ta"),
    "TELUGU": ("Telugu", "te"),
    "THAI": ("Thai", "th"),
}


def foreign_script(text: str, language: str) -> str | None:
    """A remark if most letters are of a script that the language is not written in, else None.

    An engine then spells letters, or skips them, instead of reading words. Latin letters are at home everywhere.
    """
    counts = Counter(name.split(" ")[0] for c in text if c.isalpha() and (name := unicodedata.name(c, "")))
    if not counts:
        return None
    most, count = counts.most_common(1)[0]
    if most not in _SCRIPTS or 2 * count <= counts.total():
        return None
    script, languages = _SCRIPTS[most]
    if language.split("-")[0] in languages.split():
        return None
    likeliest = languages.split()[0]
    return f"the text is mostly in {script} script and was read as {language}: send language, such as {likeliest}"


def has_kanji(text: str) -> bool:
    """Whether there are Chinese characters in it."""
    return any("\u4e00" <= c <= "\u9fff" or "\u3400" <= c <= "\u4dbf" for c in text)
