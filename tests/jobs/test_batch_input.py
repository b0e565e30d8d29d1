"""The rows of a batch: every way to write them down, and everything that may be wrong, told at once."""

import json
import pickle
from typing import Any

import pytest

from chatterbox_plus.errors import FileTooLarge, InvalidOption
from chatterbox_plus.jobs import batch_input
from chatterbox_plus.jobs.batch_input import InvalidRows, Row, read_rows, rows_of_items
from chatterbox_plus.synthesis.options import SpeechOptions


def _rows(data: bytes | str, filename: str = "rows.csv", **common: Any) -> tuple[Row, ...]:
    return read_rows(data, filename, common=common)


def _problems(data: bytes | str, filename: str = "rows.csv", **common: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidRows) as caught:
        read_rows(data, filename, common=common)
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


# CSV

PLAIN = "text,voice,name\nHello.,speaker1.wav,one\nWorld.,,two\n"
EXPECTED = (
    Row(1, "one", {"text": "Hello.", "reference_audio_filename": "speaker1.wav"}),
    Row(2, "two", {"text": "World."}),
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_separator_and_line_end(delimiter: str, end: str) -> None:
    assert _rows(PLAIN.replace(",", delimiter).replace("\n", end)) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_any_encoding_that_says_what_it_is(encoding: str) -> None:
    data = "text;name\nGrüße, 你好 🎧;ünï\n".encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    assert _rows(data) == (Row(1, "ünï", {"text": "Grüße, 你好 🎧"}),)


def test_text_that_is_decoded_already() -> None:
    assert _rows("\ufeff" + PLAIN) == EXPECTED


def test_quoted_cells_hold_separators_quotes_and_lines() -> None:
    rows = _rows('name,text\na,"One, ""two"";\nthree."\nb,He said "so".\n')
    assert [row.options["text"] for row in rows] == ['One, "two";\nthree.', 'He said "so".']


def test_blank_lines_are_left_out_and_counted() -> None:
    assert _problems('\n  \ntext,seed\n\n"a\nb",1\n,,\n\nc,-1\n')[0][:2] == (9, "seed")
    assert len(_rows("\ntext,seed\n\na,1\n , \n\nb,2\n")) == 2


def test_the_header_may_be_written_with_capitals_and_blanks() -> None:
    assert _rows(" Text ,SEED\nHi.,7\n")[0].options == {"text": "Hi.", "seed": 7}


def test_cells_become_what_their_field_is() -> None:
    (row,) = _rows(
        "text;seed;temperature;trim;to_lowercase;export_formats;normalize_method;project;filename\n"
        " Hi. ; 42 ;0.5;YES;off;wav, MP3;peak;book/one;take.wav\n"
    )
    assert row.name == "take"
    assert row.options == {
        "text": " Hi. ",
        "seed": 42,
        "temperature": 0.5,
        "trim": True,
        "to_lowercase": False,
        "export_formats": ["wav", "mp3"],
        "normalize_method": "peak",
        "project": "book/one",
    }


@pytest.mark.parametrize(
    ("cell", "said"),
    [("true", True), ("1", True), ("Yes", True), ("on", True), ("FALSE", False), ("0", False), ("no", False)],
)
def test_a_yes_or_no(cell: str, said: bool) -> None:
    assert _rows(f"text,trim\na,{cell}\n")[0].options["trim"] is said


@pytest.mark.parametrize("cell", ['"wav,flac"', '"[""wav"", ""flac""]"', '" wav , FLAC,, "'])
def test_formats_are_a_list_or_a_json_array(cell: str) -> None:
    assert _rows(f"text,export_formats\na,{cell}\n")[0].options["export_formats"] == ["wav", "flac"]


def test_a_column_without_a_name_may_be_there_if_it_is_empty() -> None:
    assert _rows("text,,seed,\na,,1,\nb\n")[0].options == {"text": "a", "seed": 1}
    assert _problems("text,\na,b\n")[0][0] == 2


def test_short_rows_leave_the_rest_out() -> None:
    assert _rows("text,seed\na\n")[0].options == {"text": "a"}


# JSON lines and JSON bodies


@pytest.mark.parametrize("filename", ["rows.jsonl", "C:\\x\\ROWS.NDJSON", ""])
def test_json_lines(filename: str) -> None:
    lines = [
        {"text": "Hello.", "voice": "speaker1.wav", "name": "one"},
        {"text": "World.\u2028", "seed": 7, "export_formats": ["wav"], "trim": True, "language": None},
    ]
    data = "\r\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
    assert _rows(data, filename) == (
        Row(1, "one", {"text": "Hello.", "reference_audio_filename": "speaker1.wav"}),
        Row(2, None, {"text": "World.\u2028", "seed": 7, "export_formats": ["wav"], "trim": True}),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "no JSON object"),
        ('"text"', "no JSON object"),
        ('{"text": "a"', "not valid JSON"),
        ('{"text": "a", "text": "b"}', "twice"),
        ('{"text": "a", "seed": NaN}', "NaN"),
        ('{"text": "a", "seed": ' + "9" * 5000 + "}", "too long"),
        ('{"text": ' + "[" * 100_000, "too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: str, reason: str) -> None:
    (problem,) = _problems('{"text": "a"}\n\n' + line + "\n", "rows.jsonl")
    assert problem[:2] == (3, "")
    assert reason in problem[2]


def test_items_of_a_body_are_checked_in_the_same_way() -> None:
    items: list[Any] = [{"text": "a", "name": "x"}, {"text": "b", "reference_audio_filename": "v.wav"}]
    assert rows_of_items(items, {"seed": 3}) == (
        Row(1, "x", {"seed": 3, "text": "a"}),
        Row(2, None, {"seed": 3, "text": "b", "reference_audio_filename": "v.wav"}),
    )
    with pytest.raises(InvalidRows) as caught:
        rows_of_items([{"text": "a"}, "b", {"txt": "c"}, {"text": 5}, {"text": "a", "name": 5}], {})
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [
        (2, ""),
        (3, "txt"),
        (4, "text"),
        (5, "name"),
    ]


# What rows share


def test_common_options_stand_behind_a_row_s_own() -> None:
    rows = _rows("text,seed,voice\na,1,\nb,,own.wav\n", seed=9, voice="shared.wav", trim=True)
    assert [(row.options["seed"], row.options["reference_audio_filename"]) for row in rows] == [
        (1, "shared.wav"),
        (9, "own.wav"),
    ]
    assert all(row.options["trim"] is True for row in rows)


@pytest.mark.parametrize(("common", "own"), [("project", "folder"), ("folder", "project"), ("project", "project")])
def test_a_row_s_own_folder_hides_the_common_one_under_either_name(common: str, own: str) -> None:
    (row,) = _rows(f"text,{own}\na,mine\n", **{common: "ours"})
    assert SpeechOptions.model_validate(row.options).subfolder == "mine"


def test_a_wrong_common_option_is_told_once() -> None:
    problems = _problems("text\n" + "a\n" * 50, speed_factor=9, sed=1, text="b", name="c")
    assert sorted(problem[:2] for problem in problems) == [(0, "name"), (0, "sed"), (0, "speed_factor"), (0, "text")]
    with pytest.raises(InvalidRows, match="what all rows share"):
        _rows("text\na\n", speed_factor=9)


def test_options_are_ready_for_json_and_for_a_request() -> None:
    (row,) = _rows("text,export_formats,seed\na,mp3,5\n", temperature=0.7)
    again = SpeechOptions.model_validate(json.loads(json.dumps(row.options)))
    assert again.model_fields_set == {"text", "export_formats", "seed", "temperature"}
    assert again.export_formats == ("mp3",)


# Names


def test_names_are_safe_and_no_two_are_one() -> None:
    rows = _rows(
        "text,name\n" + "".join(f"t,{name}\n" for name in ["a", "A.wav", "a_2", "a.mp3", "", "b/c", "CON", "b_c"])
    )
    assert [row.name for row in rows] == ["a", "A_3", "a_2", "a_4", None, "b_c", "CON_", "b_c_2"]


def test_ten_thousand_of_one_name_are_numbered() -> None:
    rows = _rows("text,name\n" + "t,chapter\n" * batch_input.MAX_ROWS)
    assert [rows[0].name, rows[1].name, rows[-1].name] == ["chapter", "chapter_2", "chapter_10000"]


@pytest.mark.parametrize("name", ["../a", "..", "..."])
def test_a_name_that_cannot_be_is_a_problem_of_its_row(name: str) -> None:
    assert _problems(f"text,name\na,ok\nb,{name}\n")[0][:2] == (3, "name")


# What is wrong


@pytest.mark.parametrize(
    ("column", "near"),
    [
        ("tekst", "text"),
        ("speed", "speed_factor"),
        ("Voices", "voice"),
        ("reference_audio", "reference_audio_filename"),
        ("export_format", "export_formats"),
        ("xqzw", None),
    ],
)
def test_an_unknown_column_is_named_with_the_nearest(column: str, near: str | None) -> None:
    for problem in (
        _problems(f"text,{column}\na,b\nc,d\n"),
        _problems(json.dumps({"text": "a", column: "b"}), "rows.jsonl"),
    ):
        assert [entry[1] for entry in problem] == [column]
        assert (f"did you mean {near}?" if near else "there are text, voice, name") in problem[0][2]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("seed", "-1", "greater than or equal to 0"),
        ("seed", "1.5", "integer"),
        ("seed", "many", "integer"),
        ("speed_factor", "3", "less than or equal to 2"),
        ("speed_factor", '"1,5"', "decimal point"),
        ("speed_factor", "nan", "finite"),
        ("trim", "maybe", "neither true"),
        ("trim", "t", "neither true"),
        ("normalize_method", "rms", "'ebu' or 'peak'"),
        ("export_formats", "ogg", "'wav', 'mp3' or 'flac'"),
        ("export_formats", "[wav", "JSON array"),
        ("export_formats", '","', "at least one"),
        ("project", "..", "leads out"),
        ("voice", "v" * 3000, "at most 2048"),
        ("reference_audio_filename", "v" * 3000, "at most 2048"),
    ],
)
def test_a_wrong_cell_is_named_with_line_column_and_reason(column: str, cell: str, reason: str) -> None:
    ((line, named, message),) = _problems(f'text,{column}\n"a\nb",\nc,{cell}\n')
    assert (line, named) == (4, column)
    assert reason in message


def test_a_problem_of_two_columns_names_the_line() -> None:
    assert _problems("text,project,folder\na,b,c\n")[0][:2] == (2, "")


@pytest.mark.parametrize("row", [",1", '"  ",1', '"\n",1'])
def test_a_row_without_text_is_a_problem(row: str) -> None:
    assert _problems(f"text,seed\na,1\n{row}\n") == [(3, "text", "is missing")]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("", 1, "no header"),
        (" \n\n", 1, "no header"),
        ("text,name\n", 1, "no rows"),
        ("name,voice\na,b\n", 1, "no column text"),
        ("\nHello there.\nHow are you?\n", 2, "no such column"),
        ("text,voice,reference_audio_filename\na,b,c\n", 1, "which is the same"),
        ("text,text\na,b\n", 1, "which is the same"),
        ("text,voice;seed\na,b;c\n", 1, "commas and semicolons"),
        ("text,seed\na,1\nOne, two, three\n", 3, "3 cells, the header 2"),
        ('text,seed\na,1\n"open,2\nb,3\n', 3, "not closed"),
        ('text,seed\na,1\n"a"b,2\n', 3, "stands between"),
        ("text\n" + "a" * 200_000, 2, "131,072"),
        (b"text\na\nGr\xfc\xdfe\n", 3, "not UTF-8"),
        ("text\nab\n".encode("utf-16-le"), 1, "NUL"),
        ("text\nab\n".encode("utf-16")[:-1], 2, "not UTF-8"),
        ("text\nab\n".encode("utf-32"), 1, "NUL"),
    ],
)
def test_a_file_that_is_no_table_says_where(data: bytes | str, line: int, reason: str) -> None:
    found = [problem for problem in _problems(data) if reason in problem[2]]
    assert [problem[0] for problem in found] == [line]


@pytest.mark.parametrize("filename", ["rows.xlsx", "rows.json", "rows.jsonl.gz"])
def test_a_file_of_another_kind_is_refused(filename: str) -> None:
    assert ".csv .tsv .jsonl" in _problems(PLAIN, filename)[0][2]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidRows) as caught:
        _rows("text,sed,seed,trim,name\na,,-1,maybe,..\n,,,,x\nb,,7,no,b\nc,,8,no,c,d\n")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [
        (1, "sed"),
        (2, "trim"),
        (2, "name"),
        (3, "text"),
        (5, ""),
    ]
    assert caught.value.message.startswith("line 1, sed: there is no such column: did you mean seed?")
    assert caught.value.message.endswith("(and 4 more)")
    assert isinstance(caught.value, InvalidOption)
    assert (caught.value.status, caught.value.code) == (422, "VALIDATION_ERROR")


def test_twenty_problems_are_enough() -> None:
    with pytest.raises(InvalidRows) as caught:
        _rows("text,seed\n" + "a,-1\n" * 1000)
    assert len(caught.value.problems) == 20
    assert caught.value.message.endswith("(and at least 19 more)")


def test_the_error_crosses_process_borders_whole() -> None:
    with pytest.raises(InvalidRows) as caught:
        _rows("text,seed\na,-1\n")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.problems, again.message) == (caught.value.problems, caught.value.message)


def test_what_an_error_repeats_is_printable_and_short() -> None:
    column = "\x1b[31m\u202e\ud800" + "x" * 500
    ((_, named, _),) = _problems(json.dumps({"text": "a", column: 1}), "rows.jsonl")
    assert named.isprintable()
    assert len(named) < 130


# Size


def test_so_many_rows_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MAX_ROWS", 3)
    assert len(_rows("text\n" + "a\n" * 3)) == 3
    assert _problems("text\n" + "a\n" * 4) == [(5, "", "a batch may have 3 rows, here is one more")]
    with pytest.raises(InvalidRows):
        rows_of_items([{"text": "a"}] * 4, {})


@pytest.mark.parametrize("data", [b"text\n" + bytes(20 * 2**20), "text\n" + "é" * 10 * 2**20])
def test_a_file_over_the_limit_is_refused(data: bytes | str) -> None:
    with pytest.raises(FileTooLarge):
        _rows(data)


def test_a_row_knows_the_line_that_an_editor_shows() -> None:
    csv = b'\n\ntext,name\nOne.,a\n\n"Two,\nlong.",b\nThree.,c\n'
    assert [row.line for row in read_rows(csv, "x.csv", common={})] == [4, 6, 8]
    lines = b'\n{"text": "a"}\n\n{"text": "b"}'
    assert [row.line for row in read_rows(lines, "x.jsonl", common={})] == [2, 4]


def test_a_batch_tells_one_webhook_and_not_one_for_each_row() -> None:
    with pytest.raises(InvalidRows, match="one webhook_url"):
        rows_of_items([{"text": "a", "webhook_url": "http://localhost/x"}], {})
