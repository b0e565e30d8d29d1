"""Models that are installed, as a client meets them: which one speaks where, what is told of it, what is refused."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from chatterbox_plus.engines.chatterbox import watermark
from chatterbox_plus.engines.chatterbox.families import FAMILIES
from chatterbox_plus.engines.chatterbox.languages import LANGUAGES, TAGS
from tests.e2e.neural_house import ADDED, MODELS, OPENAI, SPARE, TTS, VC, NeuralHouse, neural_house, recording, told
from tests.hearing import container_format, listen

HELLO = "Hello there, old friend."
NAMED = (*MODELS, ADDED)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NeuralHouse]:
    with neural_house(tmp_path_factory.mktemp("neural")) as running:
        yield running


def notes(reply: dict[str, Any]) -> str:
    return "; ".join(reply["notes"])


# Which model speaks


def test_the_model_that_auto_means_is_loaded_when_the_server_starts(house: NeuralHouse) -> None:
    house.until(lambda: house.model("nano")["loaded"])
    assert house.model("nano")["default"] is True
    health = told(house.server.get("/api/v1/health"))
    assert (health["engine"]["name"], health["engine"]["preview"]) == ("nano", False)
    assert health["models_loaded"] == {"tts": True, "vc": True}


@pytest.mark.parametrize(("asked", "spoke"), [("auto", "nano"), *((name, name) for name in NAMED)])
def test_the_model_that_was_asked_for_speaks_and_the_same_seed_gives_the_same_bytes(
    house: NeuralHouse, asked: str, spoke: str
) -> None:
    reply = house.said(HELLO, model=asked, seed=7)
    assert (reply["model"], reply["notes"]) == (spoke, [])
    assert house.sidecar(reply)["generation_info"]["model"] == spoke
    again = house.say(HELLO, query="", model=asked, seed=7)
    assert again.headers["X-Chatterbox-Model"] == spoke
    assert again.content == house.file(reply)
    assert 0.3 < len(listen(again.content)) / 24_000 < 3
    assert house.sound(HELLO, model=asked, seed=8) != again.content
    assert spoke in [engine["name"] for engine in told(house.server.get("/api/v1/health"))["engines"]]


def test_a_voice_is_cloned(house: NeuralHouse) -> None:
    own, cloned = (house.sound(HELLO, seed=7, **more) for more in ({}, {"reference_audio_filename": "anna"}))
    assert own != cloned
    assert house.sound(HELLO, seed=7, reference_audio_filename="anna") == cloned
    (prints,) = {path.parent.parent for path in (house.data / "voiceprints").rglob("*.safetensors")}
    assert prints == house.data / "voiceprints"


def test_live_speech_is_as_long_and_with_whole_passages_the_same(house: NeuralHouse) -> None:
    told = house.sound(HELLO, model="turbo", seed=7)
    for streaming in ("exact", "live"):
        live = house.say(HELLO, query="?response_mode=live", model="turbo", seed=7, streaming=streaming)
        assert (live.headers["X-Chatterbox-Model"], container_format(live.content)) == ("turbo", "wav")
        if streaming == "exact":
            assert list(listen(live.content)) == list(listen(told))
        else:  # what the decoder made of the beginning did not know the end yet
            assert len(listen(live.content)) == pytest.approx(len(listen(told)), rel=0.2)


@pytest.mark.parametrize(("asked", "spoke"), [("turbo", "turbo"), (ADDED, ADDED), ("tts-1-hd", "nano"), ("x", "nano")])
def test_openais_clients_may_name_any_model(house: NeuralHouse, asked: str, spoke: str) -> None:
    body = {"model": asked, "input": HELLO, "voice": "anna", "response_format": "wav", "seed": 7, "temperature": 0.5}
    body["streaming"] = "exact"
    reply = house.server.post(OPENAI, body)
    assert (reply.status_code, reply.headers["X-Chatterbox-Model"]) == (200, spoke), reply.text
    assert "X-Chatterbox-Notes" not in reply.headers
    ours = house.sound(HELLO, model=spoke, reference_audio_filename="anna", seed=7, temperature=0.5)
    assert list(listen(reply.content)) == list(listen(ours))


def test_openais_lists_have_what_is_installed(house: NeuralHouse) -> None:
    names = [model["id"] for model in told(house.server.get("/v1/models"))["data"]]
    assert set(names) >= {"tts-1", "builtin", *NAMED}
    assert "multilingual-v3" not in names


def test_openais_voices_are_the_models_own_and_it_says_so(house: NeuralHouse) -> None:
    own = house.sound(HELLO, seed=7)
    for name in ("alloy", "nova"):
        reply = house.said(HELLO, seed=7, reference_audio_filename=name)
        assert reply["notes"] == [
            f"{name} is the voice that came with the Nano model: store a recording under that name to hear another one"
        ]
        assert house.file(reply) == own
    assert house.said(HELLO, seed=7, reference_audio_filename="default")["notes"] == []


def test_a_voice_of_the_built_in_engine_is_spoken_by_it(house: NeuralHouse) -> None:
    assert house.said("Guten Tag.", reference_audio_filename="de+f3")["model"] == "builtin"
    refused = house.say(HELLO, reference_audio_filename="de+f3", model="nano")
    assert (refused.status_code, refused.json()["error_code"]) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize(("asked", "converted"), [("auto", "nano"), ("english", "english"), (ADDED, ADDED)])
def test_a_recording_is_converted_by_the_model_that_was_asked_for(
    house: NeuralHouse, asked: str, converted: str
) -> None:
    body = {"input_audio_source": "talk.wav", "target_voice_source": "anna", "model": asked, "export_formats": ["wav"]}
    reply = told(house.server.post(VC + "?response_mode=url", body))
    assert (reply["model"], reply["notes"]) == (converted, [])
    assert house.sidecar(reply)["generation_info"]["model"] == converted
    assert len(listen(house.file(reply))) == 2 * 24_000


def test_what_is_sent_along_is_converted_too(house: NeuralHouse) -> None:
    reply = house.server.ask(
        "POST",
        VC,
        files={"input_audio": ("a.wav", recording(1.2)), "target_voice": ("b.wav", recording(6, 200.0))},
        data={"model": "turbo", "export_formats": "wav"},
    )
    assert (reply.status_code, reply.headers["X-Chatterbox-Model"]) == (200, "turbo"), reply.text
    assert len(listen(reply.content)) == round(1.2 * 24_000)


# Tasks


def test_a_task_says_which_model_spoke(house: NeuralHouse) -> None:
    body = {"text": HELLO, "model": "turbo", "seed": 7, "export_formats": ["wav"]}
    done = house.ended(house.server.post(f"{TTS}/async", body))
    assert done["result"]["model"] == "turbo"
    assert house.sidecar(done)["generation_info"]["model"] == "turbo"
    assert house.file(done) == house.sound(HELLO, model="turbo", seed=7)
    body = {"input_audio_source": "talk.wav", "target_voice_source": "anna", "model": "english"}
    assert house.ended(house.server.post(f"{VC}/async", body))["result"]["model"] == "english"


def test_every_row_of_a_batch_has_a_model_of_its_own(house: NeuralHouse) -> None:
    items = [{"text": f"Row of {name}.", "model": name} for name in ("nano", "english", "builtin", "auto")]
    body = {"items": items, "options": {"export_formats": ["wav"]}}
    done = house.ended(house.server.post("/api/v1/batch", body))
    rows = told(house.server.get(f"/api/v1/tasks/{done['task_id']}/rows"))["tasks"]
    assert [row["result"]["model"] for row in rows] == ["nano", "english", "builtin", "nano"]
    whole = house.server.get(f"/api/v1/tasks/{done['task_id']}/zip")
    assert len(zipfile.ZipFile(io.BytesIO(whole.content)).namelist()) == 4
    wrong = house.server.post("/api/v1/batch", {"items": [{"text": "a", "model": "multilingual-v3"}]})
    assert wrong.status_code in (409, 422)
    assert "models pull multilingual-v3" in wrong.text


def test_a_book_is_read_by_the_model_that_was_asked_for(house: NeuralHouse) -> None:
    chapters = [{"title": "One", "text": "The first. [laugh]"}, {"title": "Two", "text": "Noch eins.", "voice": "de"}]
    options = {"model": "turbo", "seed": 7}
    refused = house.server.post("/api/v1/book", {"title": "T", "chapters": chapters, "options": options})
    assert refused.status_code == 404, "a voice of the built-in engine is none of Turbo's"
    chapters[1]["voice"] = "anna"
    done = house.ended(house.server.post("/api/v1/book", {"title": "T", "chapters": chapters, "options": options}))
    assert done["result"]["models"] == ["turbo"]
    assert house.sidecar(done)["generation_info"]["models"] == ["turbo"]
    assert "[laugh]" in house.server.get(done["result"]["subtitle_files"][0]["url"]).text


# What is refused, and what is remarked on


@pytest.mark.parametrize(
    ("fields", "status", "code", "words"),
    [
        ({"model": "whatever"}, 422, "VALIDATION_ERROR", ["no model of that name", "nano", ADDED]),
        ({"model": "multilingual-v3"}, 409, "MODEL_NOT_INSTALLED", ["chatterbox-plus models pull multilingual-v3"]),
        ({"model": "nano", "language": "fr"}, 422, "VALIDATION_ERROR", ["'fr'", "Nano model speaks: en"]),
        ({"model": "multilingual", "language": "cy"}, 422, "VALIDATION_ERROR", [", ".join(LANGUAGES)]),
        ({"language": "ja", "text": "日本語です。"}, 400, "MISSING_EXTRA", ["pykakasi", "chatterbox-plus[japanese]"]),
        ({"language": "he", "text": "שלום"}, 400, "MISSING_EXTRA", ["chatterbox-plus[hebrew]"]),
    ],
)
@pytest.mark.parametrize("path", [TTS, f"{TTS}/async", OPENAI])
def test_what_a_model_cannot_do_is_said_before_anything_is_made(
    house: NeuralHouse, path: str, fields: dict[str, Any], status: int, code: str, words: list[str]
) -> None:
    body = {"text": HELLO, **fields}
    if path == OPENAI:
        if fields.get("model") == "whatever":
            return  # means `auto` there
        body = {"voice": "alloy", "model": "auto", **body, "input": body["text"]}
        status = 400 if status == 422 else status
    reply = house.server.post(path, body)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]["message"] if path == OPENAI else reply.json()["error"]
    assert path == OPENAI or reply.json()["error_code"] == code
    assert all(word in error for word in words), error


@pytest.mark.parametrize(
    ("language", "text", "spoke"),
    [
        ("en-GB", HELLO, "nano"),
        ("fr", "Bonjour, mon ami.", "multilingual"),
        ("pt-BR", "Bom dia.", "multilingual"),
        ("ja", "こんにちは。", "multilingual"),
        ("cy", "Bore da.", "builtin"),
    ],
)
def test_auto_goes_by_the_language(house: NeuralHouse, language: str, text: str, spoke: str) -> None:
    assert house.said(text, language=language)["model"] == spoke


def test_a_language_that_is_read_less_well_is_remarked_on(house: NeuralHouse) -> None:
    reply = house.said("Доброе утро.", language="ru")
    assert reply["model"] == "multilingual"
    assert "chatterbox-plus[russian]" in notes(reply)


def test_a_short_recording_is_remarked_on(house: NeuralHouse) -> None:
    reply = house.said(HELLO, reference_audio_filename="short")
    assert reply["notes"] == ["the recording of short is 1.0 s long: the Nano model knows a voice well from 5 s on"]


def test_an_option_of_another_family_is_remarked_on(house: NeuralHouse) -> None:
    assert house.said(HELLO, model="english", exaggeration=0.7, cfg_weight=0)["notes"] == []
    assert "exaggeration had no effect" in notes(house.said(HELLO, model="nano", exaggeration=0.7, top_k=50))
    assert "top_k had no effect" in notes(house.said(HELLO, model="english", top_k=50))


def test_sounds_are_performed_where_a_model_can(house: NeuralHouse) -> None:
    text = "Oh. [Laugh] Good."
    assert house.said(text, model="turbo", timestamps=True)["words"][1]["text"] == "[Laugh]"
    assert house.said(text, model="turbo")["notes"] == []
    assert "will be read out" in notes(house.said(text, model="english"))


def test_ten_thousand_characters_are_said_once_each(house: NeuralHouse) -> None:
    sentences = [f"Sentence {n} tells of boats, of the sea and of what the wind has done." for n in range(1, 200)]
    text = " ".join(sentences)[:9_999].rpartition(".")[0] + "."
    assert len(text) > 9_900
    reply = house.said(text, timestamps=True, enable_batching=True, normalize_numbers=False)
    assert " ".join(word["text"] for word in reply["words"]) == text.replace(".", "").replace(",", "")
    assert reply["words"][-1]["end_s"] <= reply["total_duration_seconds"]


# The watermark


def heard(sound: bytes) -> float:
    import numpy as np

    return watermark.Watermarker().confidence(listen(sound).astype(np.float32), 24_000)


LONGER = "This is to be long enough for whoever listens to find out what made it, so it goes on a little. " * 3


def test_a_mark_is_in_the_finished_audio_exactly_when_it_was_asked_for(house: NeuralHouse) -> None:
    asked = {"model": "english", "seed": 7, "reuse_takes": True}
    plain = house.sound(LONGER, **asked)
    reply = house.said(LONGER, **asked, disable_watermark=False)
    assert reply["notes"] == []
    assert heard(plain) < 0.5 < heard(house.file(reply))
    assert house.sound(LONGER, **asked) == plain, "takes with a mark and without are not mixed"
    assert house.sound(LONGER, **asked, disable_watermark=False) == house.file(reply)


def test_a_mark_is_in_converted_audio(house: NeuralHouse) -> None:
    body = {"input_audio_source": "talk.wav", "target_voice_source": "anna", "export_formats": ["wav"]}
    plain, marked = (
        house.server.post(VC, {**body, "disable_watermark": disabled}).content for disabled in (True, False)
    )
    assert heard(plain) < 0.5 < heard(marked)


def test_without_the_watermarker_a_mark_is_refused(house: NeuralHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "installed", lambda: False)
    conversion = {"input_audio_source": "talk.wav", "target_voice_source": "anna"}
    for path, body in (
        (TTS, {"text": HELLO}),
        (TTS + "?response_mode=live", {"text": HELLO}),
        (f"{TTS}/async", {"text": HELLO}),
        (VC, conversion),
        (f"{VC}/async", conversion),
    ):
        reply = house.server.post(path, {**body, "model": SPARE, "disable_watermark": False})
        assert (reply.status_code, reply.json()["error_code"]) == (400, "MISSING_EXTRA"), (path, reply.text)
        assert "chatterbox-plus[watermark]" in reply.json()["error"]


# Models over HTTP


def test_the_list_tells_what_each_model_can(house: NeuralHouse) -> None:
    found = {one["name"]: one for one in told(house.server.get("/api/v1/models"))["models"]}
    assert set(found) >= {"builtin", "multilingual-v3", *NAMED}
    for name in NAMED:
        assert found[name]["options"] == dict(FAMILIES[found[name]["family"]].defaults)
        assert (found[name]["installed"], found[name]["source"]) == (True, "added" if name == ADDED else "copied")
    assert found["turbo"]["sounds"] == found["nano"]["sounds"] == list(TAGS)
    assert found["english"]["sounds"] == found["builtin"]["sounds"] == []
    assert found["builtin"]["options"] == {}
    assert len(found["turbo"]["sounds"]) == 19


def test_a_model_gives_its_memory_back_when_nobody_uses_it(house: NeuralHouse) -> None:
    house.sound(HELLO, model="turbo")
    assert house.model("turbo")["loaded"] is True
    with house.server.ask(
        "POST", TTS + "?response_mode=live", json={"text": LONGER * 20, "model": "turbo"}, stream=True
    ) as live:
        next(live.iter_content(1024))
        busy = house.server.post("/api/v1/models/turbo/unload")
        assert (busy.status_code, busy.json()["error_code"]) == (409, "WRONG_STATE")
    house.until(lambda: house.server.post("/api/v1/models/turbo/unload").status_code == 200)
    assert house.model("turbo")["loaded"] is False
    assert told(house.server.post("/api/v1/models/turbo/unload"))["loaded"] is False
    assert house.said(HELLO, model="turbo")["model"] == "turbo"
    assert house.server.post("/api/v1/models/builtin/unload").status_code == 409
    assert house.server.post("/api/v1/models/whatever/unload").status_code == 404


def test_a_model_that_is_removed_is_gone_for_the_next_request(house: NeuralHouse) -> None:
    assert house.said(HELLO, model=ADDED)["model"] == ADDED
    assert house.server.ask("DELETE", f"/api/v1/models/{ADDED}?confirm=true").status_code == 200
    assert house.say(HELLO, model=ADDED).status_code == 422


# The guide, and a server in a process of its own


def test_the_guides_warm_up_is_answered_by_a_model(house: NeuralHouse) -> None:
    reply = house.server.post(TTS, {"text": "warmup", "export_formats": ["wav"]})
    assert (reply.status_code, reply.headers["X-Chatterbox-Model"]) == (200, "nano")
