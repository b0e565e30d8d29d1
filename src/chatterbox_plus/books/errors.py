"""What is wrong with a book, in one class."""

from chatterbox_plus.errors import BadRequest


class InvalidBook(BadRequest):
    """A file that is no book we can read: damaged, protected, too large, or made to break its reader."""

    code = "INVALID_BOOK"
