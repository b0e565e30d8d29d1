"""What the models speak: languages, tags and passage lengths. Plain tables that need no package."""

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.text.languages import base

# Upstream's SUPPORTED_LANGUAGES (mtl_tts.py).
LANGUAGES = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tr": "Turkish",
    "zh": "Chinese",
}
# Tags in use that are none of the model's own.
OTHER_CODES = {"arb": "ar", "cmn": "zh", "iw": "he", "jp": "ja", "nb": "no", "nn": "no", "zsm": "ms"}

# added_tokens.json of ResembleAI/chatterbox-turbo, ids 50257 to 50275 (resemble-ai/chatterbox issue 557); a loaded
# model's own list is its reader's `tags`. The same issue reports that one runtime acts out the sounds alone.
DELIVERY_TAGS = (
    "[angry]",
    "[fear]",
    "[surprised]",
    "[whispering]",
    "[advertisement]",
    "[dramatic]",
    "[narration]",
    "[crying]",
    "[happy]",
    "[sarcastic]",
)
SOUND_TAGS = (
    "[clear throat]",
    "[sigh]",
    "[shush]",
    "[cough]",
    "[groan]",
    "[sniff]",
    "[gasp]",
    "[chuckle]",
    "[laugh]",
)
TAGS = DELIVERY_TAGS + SOUND_TAGS

# Characters that make about 20 s of speech. The models stop at 40 s (1000 tokens) and users hear them fail from 25 to
# 30 s on (resemble-ai/chatterbox issues 424, 543); upstream's own pages cut at 300 characters, written for Latin
# letters. Others scale that by how much a character says: syllables a second (Pellegrino, Coupé and Marsico 2011:
# English 6.2, Mandarin 5.2, Japanese 7.8), one to a Chinese and a Korean character, about 1.6 to one of Japanese text;
# Arabic and Hebrew leave out most vowels.
PASSAGE_CHARS = {"ja": 100, "zh": 100, "ko": 140, "ar": 220, "he": 220}
DEFAULT_PASSAGE_CHARS = 300


def language_code(tag: str) -> str:
    """The model's code of a BCP 47 tag: "pt-BR" -> "pt", "cmn-TW" -> "zh", "nb" -> "no".

    Raises InvalidOption for a language the multilingual model was not made for.
    """
    code = OTHER_CODES.get(base(tag), base(tag))
    if code not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidOption(f"the multilingual model does not speak {tag!r}, only: {known}", param="language")
    return code


def passage_chars(language: str) -> int:
    """The most characters a model says well in one go, for any tag of a language."""
    code = base(language)
    return PASSAGE_CHARS.get(OTHER_CODES.get(code, code), DEFAULT_PASSAGE_CHARS)
