"""The languages whose conventions we know, a module each; the keys are language tags without a region."""

from chatterbox_plus.text.lexicons.de import GERMAN
from chatterbox_plus.text.lexicons.en import ENGLISH
from chatterbox_plus.text.lexicons.es import SPANISH
from chatterbox_plus.text.lexicons.fr import FRENCH
from chatterbox_plus.text.lexicons.it import ITALIAN
from chatterbox_plus.text.lexicons.nl import DUTCH
from chatterbox_plus.text.lexicons.pl import POLISH
from chatterbox_plus.text.lexicons.pt import PORTUGUESE
from chatterbox_plus.text.lexicons.ru import RUSSIAN

LEXICONS = {
    known.code: known for known in (ENGLISH, GERMAN, SPANISH, FRENCH, ITALIAN, DUTCH, POLISH, PORTUGUESE, RUSSIAN)
}
