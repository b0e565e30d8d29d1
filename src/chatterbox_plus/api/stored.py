"""How the libraries' replies look, for the OpenAPI document: nothing is built or checked with these at run time."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chatterbox_plus.api.replies import ERRORS, MEANINGS

_WHEN = "2025-06-22T14:30:22.000456Z"
_TAKEN = "The name is taken, or several folders have it."


class Reply(BaseModel):
    model_config = ConfigDict(extra="allow")

    success: bool = Field(description="Always true.")
    timestamp: str = Field(description="UTC, ISO 8601.")


class Stored(BaseModel):
    filename: str = Field(description="Without folders.")
    folder_path: str | None = Field(description="null is the root.")
    file_size_bytes: int
    duration_seconds: float | None = Field(description="null until it is known, and for what is no audio.")
    format: str = Field(description="The extension.")
    created_date: str


class Voice(Stored):
    name: str
    url: str = Field(description="Path below reference_audio/: usable as reference_audio_filename.")
    description: str
    sample_rate: int | None = Field(description="Hz")
    default_parameters: dict[str, Any]
    tags: list[str]
    last_used: str | None
    usage_count: int
    rating: str | None = Field(description="good, usable or poor, as it was when it came; null: not measured.")
    quality: dict[str, Any] | None = Field(None, description="How good a reference: score, rating, advice.")


class Input(Stored):
    path: str = Field(description="Below vc_inputs/: usable as input_audio_source.")
    text: str | None = Field(description="What is said in it.")
    sample_rate: int | None = Field(description="Hz")
    upload_date: str


class OutputFile(BaseModel):
    format: str
    filename: str
    url: str
    file_size_bytes: int


class Output(Stored):
    path: str = Field(description="Below outputs/.")
    url: str = Field(description="Where to fetch it.")
    generation_type: str = Field(description="tts, vc, concat or unknown.")
    parameters: dict[str, Any] = Field(description="What was asked for.")
    source_files: list[Any]
    formats: list[OutputFile] = Field(description="All files of the same generation.")
    metadata: dict[str, Any]


class Pagination(BaseModel):
    current_page: int
    page_size: int
    total_files: int
    total_voices: int
    total_pages: int = Field(description="At least 1.")
    has_next: bool
    has_previous: bool


class _List(Reply):
    count: int = Field(description="Items on this page.")
    page: int
    page_size: int
    total_pages: int
    has_next: bool
    has_previous: bool
    total: int = Field(description="Items on all pages.")
    total_files: int
    total_voices: int
    pagination: Pagination


class VoiceList(_List):
    voices: list[Voice]


class InputList(_List):
    files: list[Input]


class Summary(BaseModel):
    """Of all pages."""

    total_files: int
    total_size_bytes: int
    generation_types: dict[str, int]


class OutputList(_List):
    files: list[Output]
    summary: Summary


class VoiceReply(Reply):
    message: str
    filename: str
    voice_metadata: Voice
    voice_info: Voice = Field(description="The same.")
    quality: dict[str, Any] | None


class InputReply(Reply):
    message: str
    filename: str
    metadata: Input


class OutputReply(Reply):
    filename: str
    url: str
    metadata: dict[str, Any] = Field(description="The sidecar; empty where there is none.")


class FolderCount(BaseModel):
    path: str = Field(description='"root", or a path below it.')
    voice_count: int = Field(description="Files directly in it.")
    file_count: int = Field(description="The same.")
    subfolders: list[str] = Field(description="Paths of the folders directly in it.")


class FolderList(Reply):
    folders: list[FolderCount]
    folder_structure: dict[str, Any] = Field(description="The same, nested.")
    total_folders: int
    total_voices: int
    total_files: int


class DeleteReply(Reply):
    message: str
    deleted_files: list[str] = Field(description="Paths, those of sidecars too.")
    deleted_file: str | None = Field(description="The first of them.")
    deleted_count: int = Field(description="Without sidecars.")
    deleted_folders: list[str] = Field(description="Folders that were empty then.")
    skipped_count: int = Field(description="Files that matched and belong to other projects.")


class TrashReply(DeleteReply):
    trash_id: str | None = Field(None, description="What restores the first of them; null: it is gone for good.")
    restore_until: str | None = Field(None, description="Until when.")
    trash_ids: list[str] | None = Field(None, description="One for each of them.")


_VOICE: dict[str, Any] = {
    "name": "Narrator",
    "filename": "narrator.wav",
    "url": "narrator.wav",
    "description": "Calm and low",
    "duration_seconds": 12.5,
    "sample_rate": 24000,
    "file_size_bytes": 600044,
    "format": "wav",
    "default_parameters": {"temperature": 0.7},
    "tags": ["calm"],
    "created_date": _WHEN,
    "last_used": None,
    "usage_count": 0,
    "folder_path": None,
    "rating": "good",
}
_INPUT: dict[str, Any] = {
    "filename": "interview.wav",
    "path": "team/interview.wav",
    "folder_path": "team",
    "text": None,
    "file_size_bytes": 600044,
    "duration_seconds": 12.5,
    "sample_rate": 24000,
    "format": "wav",
    "created_date": _WHEN,
    "upload_date": _WHEN,
}
_OUTPUT: dict[str, Any] = {
    "filename": "tts_2025-06-22_143022_000456_temp0.75.wav",
    "path": "book/tts_2025-06-22_143022_000456_temp0.75.wav",
    "url": "/outputs/book/tts_2025-06-22_143022_000456_temp0.75.wav",
    "generation_type": "tts",
    "folder_path": "book",
    "file_size_bytes": 96044,
    "duration_seconds": 2.0,
    "format": "wav",
    "created_date": _WHEN,
    "parameters": {"text": "Hello.", "temperature": 0.75},
    "source_files": [],
    "formats": [
        {
            "format": "wav",
            "filename": "tts_2025-06-22_143022_000456_temp0.75.wav",
            "url": "/outputs/book/tts_2025-06-22_143022_000456_temp0.75.wav",
            "file_size_bytes": 96044,
        }
    ],
    "metadata": {"processing_time_seconds": 0.2, "parameters": {"text": "Hello.", "temperature": 0.75}},
}
_QUALITY = {"score": 95, "rating": "good", "advice": []}
_TOTALS = {"total_files": 1, "total_voices": 1, "total_pages": 1, "has_next": False, "has_previous": False}
_PAGE: dict[str, Any] = {
    "success": True,
    "count": 1,
    "page": 1,
    "page_size": 50,
    **_TOTALS,
    "total": 1,
    "pagination": {"current_page": 1, "page_size": 50, **_TOTALS},
    "timestamp": _WHEN,
}
VOICE_LIST = {**_PAGE, "voices": [_VOICE]}
INPUT_LIST = {**_PAGE, "files": [_INPUT]}
OUTPUT_LIST = {
    **_PAGE,
    "files": [_OUTPUT],
    "summary": {"total_files": 1, "total_size_bytes": 96044, "generation_types": {"tts": 1}},
}
VOICE_REPLY = {
    "success": True,
    "message": "Voice 'Narrator' uploaded successfully",
    "filename": "narrator.wav",
    "voice_metadata": {**_VOICE, "quality": _QUALITY},
    "voice_info": {**_VOICE, "quality": _QUALITY},
    "quality": _QUALITY,
    "timestamp": _WHEN,
}
INPUT_REPLY = {
    "success": True,
    "message": "VC input 'interview.wav' uploaded successfully",
    "filename": "interview.wav",
    "metadata": _INPUT,
    "timestamp": _WHEN,
}
OUTPUT_REPLY = {
    **_OUTPUT,
    "success": True,
    "type": "tts",
    "generation_info": {"duration_seconds": 2.0, "seed_used": 42},
    "files": {"wav": _OUTPUT["filename"]},
    "metadata": {"type": "tts", "parameters": {"text": "Hello."}, "timestamp": _WHEN},
    "timestamp": _WHEN,
}
FOLDER_LIST = {
    "success": True,
    "folders": [
        {"path": "root", "voice_count": 5, "file_count": 5, "subfolders": ["book"]},
        {"path": "book", "voice_count": 2, "file_count": 2, "subfolders": []},
    ],
    "folder_structure": {
        "root": {
            "voice_count": 5,
            "file_count": 5,
            "subfolders": {"book": {"voice_count": 2, "file_count": 2, "subfolders": {}}},
        }
    },
    "total_folders": 2,
    "total_voices": 7,
    "total_files": 7,
    "timestamp": _WHEN,
}
DELETE_REPLY = {
    "success": True,
    "message": "Voice 'narrator.wav' deleted successfully",
    "deleted_files": ["narrator.wav", "narrator.wav.json"],
    "deleted_file": "narrator.wav",
    "deleted_count": 1,
    "deleted_folders": [],
    "skipped_count": 0,
    "timestamp": _WHEN,
}
TRASH_REPLY = {
    **DELETE_REPLY,
    "trash_id": "trash_5f0c2a9b4d1e7788",
    "restore_until": "2025-06-23T14:30:22.000456Z",
    "trash_ids": ["trash_5f0c2a9b4d1e7788"],
}


def replies(body: type[BaseModel], example: dict[str, Any], *errors: int) -> dict[int | str, dict[str, Any]]:
    """What a route answers. errors: the statuses it has besides those that every route has."""
    meanings = {**MEANINGS, 409: _TAKEN}
    return {
        200: {"model": body, "description": "Done.", "content": {"application/json": {"example": example}}},
        **{status: {**ERRORS[status], "description": meanings[status]} for status in errors},
    }


def form(fields: type[BaseModel], example: dict[str, str], **files: str) -> dict[str, Any]:
    """The form of an upload. example: what may come with the file. files: name → description, the first is required."""
    properties = {
        **{name: {"type": "string", "format": "binary", "description": text} for name, text in files.items()},
        **fields.model_json_schema().get("properties", {}),
    }
    if "folder_path" in properties:
        properties["folder"] = {"type": "string", "description": "Another name for folder_path."}
        properties["project"] = {"type": "string", "description": "Another name for folder_path."}
    if "tags" in properties:
        properties["tags"] = {"type": "string", "description": "Comma separated, or a JSON array."}
        properties["default_parameters"] = {"type": "string", "description": "A JSON object: fields of POST /tts."}
        properties["metadata"] = {"type": "string", "description": "A JSON object with any of the other fields."}
        properties["audio_file"] = {"type": "string", "format": "binary", "description": "Another name for voice_file."}
    schema = {"type": "object", "properties": properties, "required": [next(iter(files))]}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
