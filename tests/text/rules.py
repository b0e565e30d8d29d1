"""The text rules at their extremes."""

from chatterbox_plus.text.normalize import TextRules


def rules(everything: bool) -> TextRules:
    return TextRules(
        to_lowercase=everything,
        normalize_spacing=everything,
        fix_dot_letters=everything,
        remove_reference_numbers=everything,
        normalize_numbers=everything,
        sound_words=(),
    )


ALL, NONE = rules(True), rules(False)
