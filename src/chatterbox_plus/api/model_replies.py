"""How replies about models look, for the OpenAPI document: nothing is built or checked with these at run time."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chatterbox_plus.models.pulls import PullStatus

_WHEN = "2025-06-22T14:30:22.000Z"


class PullState(BaseModel):
    """A pull as it stands."""

    model: str
    status: PullStatus
    success: bool | None = Field(description="null until the pull has ended, then whether the model is there.")
    bytes_done: int = Field(description="That are here, however they came.")
    total_bytes: int | None = Field(description="null until the hub has answered.")
    percent: float | None
    file: str | None = Field(description="What comes now.")
    error: str | None = Field(description="Why it failed, for a person.")
    error_code: str | None = Field(description="The same, for a program: a code of any other error reply.")
    started_at: str
    finished_at: str | None
    status_url: str = Field(description="Where to ask how it stands, and, with DELETE, to call it off.")


class ModelState(BaseModel):
    """A model that a request can name."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="As requests name it.")
    title: str
    description: str
    family: str | None = Field(description="What it is made like: english, multilingual, turbo or nano.")
    languages: list[str] | None = Field(description="ISO 639-1. null: whatever the stock voices have.")
    options: dict[str, float] = Field(description="The model options that change its speech, with its own defaults.")
    sounds: list[str] = Field(description="Marks in a text that it performs instead of reading them.")
    installed: bool
    source: Literal["pulled", "copied", "added", "hub cache", "built in"] | None = Field(
        description="Where it is: in the data folder, in a folder that somebody added, or in the hub's cache."
    )
    size_bytes: int | None = Field(description="On this machine.")
    download_bytes: int | None = Field(description="About, until the hub has been asked. null: cannot be pulled.")
    repository: str | None = Field(description="On the hub.")
    licence: str | None
    preview: bool = Field(description="Whether it is a stand-in voice, no neural model.")
    default: bool = Field(description="Whether `auto` means it.")
    loaded: bool = Field(description="Whether it is in memory now.")
    problem: str | None = Field(description="Why what is here cannot be used.")
    unfinished: bool = Field(description="Whether a pull was begun and is not through: another one goes on with it.")
    pull: PullState | None = Field(description="The last pull since the server started.")


class ModelReply(ModelState):
    success: bool = Field(description="Always true.")
    timestamp: str


class ModelList(BaseModel):
    success: bool = Field(description="Always true.")
    models: list[ModelState]
    count: int
    default: str | None = Field(description="What `auto` means, for English. null: what the settings name is not here.")
    why: str = Field(description="Why it means that, in words.")
    device: str | None = Field(description="What models run on: cpu, cuda:0, mps. null: nobody had to look yet.")
    precision: str = Field(description="As the settings have it; auto is the best one that the device has.")
    timestamp: str


class PullReply(PullState):
    timestamp: str


PULL: dict[str, Any] = {
    "model": "nano",
    "status": "running",
    "success": None,
    "bytes_done": 524288000,
    "total_bytes": 1940000000,
    "percent": 27.0,
    "file": "t3_nano_v1.safetensors",
    "error": None,
    "error_code": None,
    "started_at": _WHEN,
    "finished_at": None,
    "status_url": "/api/v1/models/pulls/nano",
}
MODEL: dict[str, Any] = {
    "name": "nano",
    "title": "Chatterbox Nano",
    "description": "Chatterbox Nano, English: small enough for a CPU.",
    "family": "nano",
    "languages": ["en"],
    "options": {"temperature": 0.8, "top_k": 1000, "top_p": 0.95, "repetition_penalty": 1.2, "steps": 2},
    "sounds": ["[laugh]", "[sigh]", "[clear throat]"],
    "installed": False,
    "source": None,
    "size_bytes": None,
    "download_bytes": 1940000000,
    "repository": "ResembleAI/chatterbox-nano",
    "licence": "MIT",
    "preview": False,
    "default": False,
    "loaded": False,
    "problem": None,
    "unfinished": True,
    "pull": PULL,
}
_WHY = {
    "why": "No Chatterbox model is here yet, so the built-in preview voice speaks",
    "device": "cpu",
    "precision": "auto",
}
ONE_MODEL = {"success": True, **MODEL, "timestamp": _WHEN}
MODELS = {"success": True, "models": [MODEL], "count": 6, "default": "builtin", **_WHY, "timestamp": _WHEN}
ONE_PULL = {**PULL, "timestamp": _WHEN}
EVENTS = (
    'event: progress\ndata: {"model":"nano","status":"running","bytes_done":524288000,"total_bytes":1940000000}\n\n'
    'event: finished\ndata: {"model":"nano","status":"succeeded","success":true,"bytes_done":1940000000}\n\n'
)
