"""Any file that may be a book comes through one door."""

import pytest

from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.read import EXTENSIONS, read_book
from chatterbox_plus.errors import BadRequest


@pytest.mark.parametrize("name", ["Some_Book.TXT", "folder/Some_Book.txt", "C:\\x\\Some_Book.txt", "Some_Book.md"])
def test_the_name_gives_kind_and_title(name: str):
    assert read_book(b"Hello.", name).title == "Some Book"


def test_a_file_without_a_name_has_a_title_all_the_same():
    assert read_book(b"Hello.", ".txt").title == "Untitled"


@pytest.mark.parametrize("name", ["book.pdf", "book", "", "txt", "book.epub.exe"])
def test_other_files_are_refused_with_those_that_are_read(name: str):
    with pytest.raises(InvalidBook, match=r"\.epub, \.docx") as caught:
        read_book(b"Hello.", name)
    assert isinstance(caught.value, BadRequest)
    assert EXTENSIONS == ("epub", "docx", "md", "markdown", "txt")
