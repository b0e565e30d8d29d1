"""GET and HEAD /outputs/…"""

from pathlib import Path

import pytest

from tests.api.live_server import LiveServer

DATA = bytes(range(256)) * 4


@pytest.fixture
def url(outputs: Path) -> str:
    (outputs / "p q").mkdir(exist_ok=True)
    (outputs / "p q" / "ä.wav").write_bytes(DATA)
    return "/outputs/p%20q/%C3%A4.wav"


def test_a_file_is_served_with_what_a_browser_needs(url: str, server: LiveServer) -> None:
    answer = server.get(url)
    assert answer.content == DATA
    headers = answer.headers
    assert headers["Content-Type"] == "audio/wav"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "public, max-age=3600"
    assert headers["Content-Disposition"] == "attachment; filename=\"_.wav\"; filename*=UTF-8''%C3%A4.wav"
    assert headers["X-Content-Type-Options"] == "nosniff"
    head = server.ask("HEAD", url)
    assert (head.content, head.headers["Content-Length"], head.headers["ETag"]) == (
        b"",
        str(len(DATA)),
        headers["ETag"],
    )


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-0", 206, DATA[:1]),
        ("bytes=10-19", 206, DATA[10:20]),
        ("bytes=1000-", 206, DATA[1000:]),
        ("bytes=-5", 206, DATA[-5:]),
        ("bytes=1000-9999", 206, DATA[1000:]),
        ("lines=1-2", 200, DATA),
        ("bytes=x", 200, DATA),
        ("bytes=5-2", 200, DATA),
        (f"bytes={'9' * 5000}-", 200, DATA),  # a number that Python would refuse to read
        (f"bytes=-{'9' * 19}", 200, DATA),
    ],
)
def test_ranges(asked: str, status: int, content: bytes, url: str, server: LiveServer) -> None:
    answer = server.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, content)


@pytest.mark.parametrize("asked", ["bytes=5000-", "bytes=-0", "bytes=5000-, 6000-7000"])
def test_a_range_outside_is_told_the_size(asked: str, url: str, server: LiveServer) -> None:
    answer = server.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")
    assert answer.json()["error_code"] == "RANGE_NOT_SATISFIABLE"


def test_a_range_of_a_file_that_has_changed_is_the_whole_file(url: str, server: LiveServer) -> None:
    first = server.get(url).headers
    for known, status in ((first["ETag"], 206), (first["Last-Modified"], 206), ('"other"', 200)):
        answer = server.get(url, headers={"Range": "bytes=0-3", "If-Range": known})
        assert answer.status_code == status
    beyond = server.get(url, headers={"Range": "bytes=5000-", "If-Range": '"other"'})
    assert (beyond.status_code, beyond.content) == (200, DATA)


def test_only_get_has_ranges(url: str, server: LiveServer) -> None:
    answer = server.ask("HEAD", url, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(DATA)))


def test_what_has_not_changed_is_not_sent_again(url: str, server: LiveServer) -> None:
    first = server.get(url)
    for known in ({"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}):
        again = server.get(url, headers=known)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert server.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "date",
    ["x", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2020 00:00:00 +99999999999999"],
)
def test_a_date_that_cannot_be_is_passed_over(date: str, url: str, server: LiveServer) -> None:
    assert server.get(url, headers={"If-Modified-Since": date}).status_code == 200


@pytest.mark.parametrize("name", ["a.json", ".hidden.wav", "a.part", "p/.x/a.wav", "a.exe"])
def test_only_audio_is_served(name: str, server: LiveServer, outputs: Path) -> None:
    """Sidecars hold the texts of everybody; they have their own route."""
    path = outputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert server.get(f"/outputs/{name}").status_code == 404


def test_a_bare_name_finds_nothing_further_down(url: str, server: LiveServer) -> None:
    assert server.get("/outputs/%C3%A4.wav").status_code == 404
