"""Promises of the registry. No child is started here."""

from collections.abc import Iterator

import pytest

from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import MODELS, Engines
from chatterbox_plus.errors import InvalidOption, ModelLoadError, ModelNotInstalled
from tests.fakes import TONE


@pytest.fixture
def engines() -> Iterator[Engines]:
    with Engines(engines={"tone": EngineHost(TONE, "tests.fakes:ToneEngine")}) as engines:
        yield engines


def test_auto_is_the_builtin_engine_while_nothing_better_is_installed(engines: Engines) -> None:
    host = engines.get("auto")
    assert host is engines.get("builtin") is engines.get()
    assert host.info.name == "builtin"
    assert host.info.preview


def test_the_default_model_is_what_auto_means() -> None:
    with Engines("tone", engines={"tone": EngineHost(TONE, "tests.fakes:ToneEngine")}) as engines:
        assert engines.get("auto") is engines.get("tone")
        assert engines.get("builtin") is not engines.get("tone")


@pytest.mark.parametrize("name", ["english", "multilingual", "multilingual-v3", "turbo", "nano"])
def test_a_known_model_that_is_not_here_says_how_to_get_it(engines: Engines, name: str) -> None:
    for get in (engines.get, engines.get_or_auto):
        with pytest.raises(ModelNotInstalled, match=f"`chatterbox-plus models pull {name}`"):
            get(name)


@pytest.mark.parametrize("name", ["tts-1", "", "Builtin", "../turbo"])
def test_an_unknown_name_is_the_clients_mistake_but_on_openais_route_means_auto(engines: Engines, name: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        engines.get(name)
    assert caught.value.param == "model"
    assert all(known in caught.value.message for known in (*MODELS, "tone"))
    assert engines.get_or_auto(name) is engines.get("auto")


def test_openais_route_takes_known_names_as_they_are(engines: Engines) -> None:
    assert engines.get_or_auto("tone") is engines.get("tone")
    assert engines.get_or_auto("auto") is engines.get("auto")


def test_the_catalog_has_every_name_and_what_is_installed(engines: Engines) -> None:
    assert {model.name for model in engines.catalog()} == {*MODELS, "tone"} - {"auto"}
    assert {model.name for model in engines.installed()} == {"builtin", "tone"}
    assert all(model.description for model in engines.catalog())


def test_closing_closes_all(engines: Engines) -> None:
    hosts = [engines.get("tone"), engines.get("builtin")]
    engines.close()
    for host in hosts:
        with pytest.raises(ModelLoadError):
            host.warm_up()
