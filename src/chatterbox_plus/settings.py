"""Settings: config.yaml < CHATTERBOX_* environment < CLI flags, read once, strict (a typo names itself).

Only `cli` and `api.app` read this; everyone else is handed values. The file is never written by the server.
"""

import difflib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chatterbox_plus import config_file
from chatterbox_plus.errors import SettingsError
from chatterbox_plus.logs import LogFormat
from chatterbox_plus.synthesis.options import ConversionOptions, Options, SpeechOptions

PREFIX = "CHATTERBOX_"
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _split(value: Any) -> Any:
    """A list may be one comma separated string, as it is in the environment."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list | tuple):
        return tuple(p.strip() if isinstance(p, str) else p for p in parts if p != "" and p is not None)
    return parts


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine, and nothing but it."""
    lower = name.lower()
    if lower == "localhost" or lower.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(lower)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


Device = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Server(Section):
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(7860, ge=0, le=65535)
    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = "info"
    log_file_path: str | None = None
    log_file_max_size_mb: float = Field(10, gt=0)
    log_file_backup_count: int = Field(5, ge=0)
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = "text"
    public_url: str = ""
    trusted_hosts: Names = ()
    drain_seconds: float = Field(20, ge=0, description="Seconds that requests under way may still take at the stop.")
    debug: bool = False
    reload: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


class Paths(Section):
    """Folders below the data folder, unless absolute."""

    data_dir: Path = Path("data")
    reference_audio_dir: Path = Path("reference_audio")
    vc_input_dir: Path = Path("vc_inputs")
    output_dir: Path = Path("outputs")
    temp_dir: Path = Path("temp")
    logs_dir: Path = Path("logs")

    def under_data(self, folder: Path) -> Path:
        return self.data_dir / folder.expanduser()


class Models(Section):
    model: str = "auto"
    device: Device = "auto"
    precision: Literal["auto", "exact", "fast", "int8"] = "auto"
    workers: int = Field(2, ge=1, le=64, description="Child processes of the built-in engine.")
    idle_unload_s: float = Field(0, ge=0, description="0 = keep models loaded.")
    preload_models: bool = Field(True, description="Load the model that `auto` means at start.")
    memory_budget_gb: float = Field(
        0, ge=0, description="For all loaded models; 0 = three quarters of the device's memory."
    )
    tts_model_path: str | None = None
    vc_model_path: str | None = None
    whisper_model: str | None = None


class Api(Section):
    max_text_length: int = Field(10_000, ge=1)
    max_upload_mb: float = Field(100, gt=0, description="Of each file.")
    max_request_mb: float = Field(500, gt=0, description="Of a form with all its files; at least max_upload_mb.")
    max_audio_s: float = Field(14_400, gt=0)
    queue_limit: int = Field(64, ge=0, description="Interactive requests that may wait; the next gets 503.")
    request_timeout_seconds: float = Field(300, gt=0, description="Seconds without progress, then 504.")
    keep_openai_outputs: bool = False
    cleanup_temp_files: bool = True
    enable_url_downloads: bool = True
    download_timeout_seconds: float = Field(30, gt=0)
    allow_private_hosts: bool | None = None
    allowed_hosts: Names = ()
    max_concurrent_requests: int = Field(5, ge=1)
    rate_limit_per_minute: int = Field(0, ge=0)
    cors_enabled: bool = True
    cors_origins: Names = ()
    api_key_required: bool = False
    allowed_file_extensions: Names | None = None
    sanitize_filenames: bool = True
    webhook_secret: str = Field("", repr=False)


class Jobs(Section):
    concurrency: int = Field(4, ge=1, le=64, description="Tasks under way at once, on this server.")
    max_unfinished: int = Field(
        20_000, ge=1, description="Tasks, rows of batches among them, that a key may have open."
    )
    keep_days: float = Field(30, ge=0, description="Days that finished tasks are remembered; their audio stays.")
    takes_max_gb: float = Field(10, ge=0, description="Passages kept for when they are needed again; 0 = none.")


class SpeedFactor(Section):
    default_speed_factor: float = Field(1.0, ge=0.5, le=2.0)
    preferred_library: str = "auto"
    min_speed_factor: float = 0.5
    max_speed_factor: float = 2.0


class Ui(Section):
    title: str = "Chatterbox Plus"
    mount_path: str = "/ui"
    enable_ui: bool = True


class Cleanup(Section):
    output_dir_max_size_gb: float = Field(5.0, ge=0)
    temp_dir_max_files: int = Field(200, ge=0)
    temp_dir_max_age_days: float = Field(7, ge=0)
    vc_inputs_max_size_gb: float = Field(0, ge=0)
    trash_keep_hours: float = Field(24, ge=0, le=8760, description="That deleted voices can be had back; 0 = not.")
    cleanup_on_startup: bool = True
    cleanup_interval_hours: float = Field(5, ge=0, le=8760)
    warning_threshold_percent: float = Field(80, ge=0, le=100)


class ResourceManagement(Section):
    cleanup: Cleanup = Cleanup()


class DownloadRetries(Section):
    max_retries: int = Field(2, ge=0)
    base_delay_seconds: float = Field(2.0, ge=0)
    max_delay_seconds: float = Field(30, ge=0)
    backoff_factor: float = Field(2, ge=1)
    enable_jitter: bool = True


class ModelLoading(Section):
    download_timeout_seconds: float = Field(0, ge=0)
    loading_timeout_seconds: float = Field(300, gt=0)
    shutdown_on_failure: bool = True


class ErrorTracking(Section):
    max_errors_stored: int = Field(1000, ge=0)
    auto_categorization: bool = True
    log_error_summaries: bool = True


class ErrorHandling(Section):
    download_retries: DownloadRetries = DownloadRetries()
    model_loading: ModelLoading = ModelLoading()
    error_tracking: ErrorTracking = ErrorTracking()


class AudioDocs(Section):
    """The original documents these and reads none of them; accepted so that its files load."""

    sample_rate: int | None = None
    output_formats: Names | None = None
    max_file_size_mb: float | None = None
    supported_input_formats: Names | None = None
    supported_output_formats: Names | None = None


class Storage(Section):
    database_url: str = Field("", repr=False)
    storage_url: str = Field("", repr=False)


class Bridges(Section):
    """Other protocols than HTTP. Wyoming knows no keys, so where they are asked for it stays on this machine, unless
    `wyoming_without_key` is set."""

    wyoming: bool = Field(False, description="Serve Home Assistant's Wyoming protocol too.")
    wyoming_host: str = Field("", description="Where Wyoming listens; empty = where the server does.")
    wyoming_port: int = Field(10_200, ge=0, le=65535, description="Of Wyoming; 0 = any free one.")
    wyoming_announce: bool = Field(True, description="Tell the network of Wyoming, where others can reach it.")
    wyoming_languages: Names = Field((), description="That stored voices are offered in; empty = all the model speaks.")
    wyoming_without_key: bool = Field(False, description="Let others use Wyoming even where keys are asked for.")
    mcp: bool = Field(False, description="Serve the Model Context Protocol at /mcp too.")


class Settings(Section):
    """Everything that can be set. Sections as the original's config.yaml has them, plus our own keys."""

    server: Server = Server()
    paths: Paths = Paths()
    models: Models = Models()
    api: Api = Api()
    jobs: Jobs = Jobs()
    tts_defaults: dict[str, Any] = Field(default_factory=dict)
    vc_defaults: dict[str, Any] = Field(default_factory=dict)
    speed_factor: SpeedFactor = SpeedFactor()
    ui: Ui = Ui()
    resource_management: ResourceManagement = ResourceManagement()
    error_handling: ErrorHandling = ErrorHandling()
    audio: AudioDocs = AudioDocs()
    storage: Storage = Storage()
    bridges: Bridges = Bridges()


ENVIRONMENT: dict[str, tuple[str, str]] = {
    "HOST": ("server", "host"),
    "PORT": ("server", "port"),
    "LOG_LEVEL": ("server", "log_level"),
    "LOG_FORMAT": ("server", "log_format"),
    "DEBUG": ("server", "debug"),
    "PUBLIC_URL": ("server", "public_url"),
    "TRUSTED_HOSTS": ("server", "trusted_hosts"),
    "DRAIN_S": ("server", "drain_seconds"),
    "DATA_DIR": ("paths", "data_dir"),
    "OUTPUT_DIR": ("paths", "output_dir"),
    "MODEL": ("models", "model"),
    "DEVICE": ("models", "device"),
    "PRECISION": ("models", "precision"),
    "WORKERS": ("models", "workers"),
    "IDLE_UNLOAD_S": ("models", "idle_unload_s"),
    "MEMORY_BUDGET_GB": ("models", "memory_budget_gb"),
    "ALLOW_PRIVATE_HOSTS": ("api", "allow_private_hosts"),
    "ALLOWED_HOSTS": ("api", "allowed_hosts"),
    "MAX_UPLOAD_MB": ("api", "max_upload_mb"),
    "MAX_REQUEST_MB": ("api", "max_request_mb"),
    "MAX_TEXT_LENGTH": ("api", "max_text_length"),
    "MAX_AUDIO_S": ("api", "max_audio_s"),
    "QUEUE_LIMIT": ("api", "queue_limit"),
    "REQUEST_TIMEOUT_S": ("api", "request_timeout_seconds"),
    "RATE_LIMIT_PER_MINUTE": ("api", "rate_limit_per_minute"),
    "API_KEY_REQUIRED": ("api", "api_key_required"),
    "CORS_ORIGINS": ("api", "cors_origins"),
    "KEEP_OPENAI_OUTPUTS": ("api", "keep_openai_outputs"),
    "WEBHOOK_SECRET": ("api", "webhook_secret"),
    "TASK_CONCURRENCY": ("jobs", "concurrency"),
    "TASK_LIMIT": ("jobs", "max_unfinished"),
    "TASK_KEEP_DAYS": ("jobs", "keep_days"),
    "TAKES_MAX_GB": ("jobs", "takes_max_gb"),
    "DATABASE_URL": ("storage", "database_url"),
    "STORAGE_URL": ("storage", "storage_url"),
    "WYOMING": ("bridges", "wyoming"),
    "WYOMING_HOST": ("bridges", "wyoming_host"),
    "WYOMING_PORT": ("bridges", "wyoming_port"),
    "WYOMING_ANNOUNCE": ("bridges", "wyoming_announce"),
    "WYOMING_LANGUAGES": ("bridges", "wyoming_languages"),
    "WYOMING_WITHOUT_KEY": ("bridges", "wyoming_without_key"),
    "MCP": ("bridges", "mcp"),
}
"""Name after CHATTERBOX_ -> where it lives in the file. A list is comma separated. CONFIG names the file itself."""

CLIENT_KEY = "API_KEY"
"""What `jobs` shows to a server, after CHATTERBOX_ too: no setting of this machine's."""

WITHOUT_EFFECT = frozenset(
    {
        "server.debug", "server.reload", "models.tts_model_path", "models.vc_model_path", "models.whisper_model",
        "api.max_concurrent_requests", "api.allowed_file_extensions", "api.sanitize_filenames",
        "speed_factor.preferred_library", "speed_factor.min_speed_factor", "speed_factor.max_speed_factor",
        "audio.sample_rate", "audio.output_formats", "audio.max_file_size_mb", "audio.supported_input_formats",
        "audio.supported_output_formats",
        "error_handling.model_loading.shutdown_on_failure", "error_handling.error_tracking.auto_categorization",
    }
)  # fmt: skip
"""Keys of the original's files that are accepted and change nothing; `load` warns of those that ask for a change."""

SECRET = frozenset({"api.webhook_secret", "storage.database_url", "storage.storage_url"})
"""Keys whose values are never shown, and which are no flags: other users see a process's arguments."""
_DEFAULTS: dict[str, tuple[type[Options], dict[str, str]]] = {
    "tts_defaults": (SpeechOptions, {"text": "-"}),
    "vc_defaults": (ConversionOptions, {"target_voice_source": "-"}),
}
"""Sections whose keys are the fields of an operation, and what that operation cannot be without."""


def load(
    env: Mapping[str, str], flags: Mapping[str, Any] | None = None, *, cwd: Path | None = None
) -> tuple[Settings, list[str]]:
    """Read the settings once.

    env: usually os.environ; only CHATTERBOX_* is looked at, and an empty variable counts as not set.
    flags: the CLI's, by environment name without prefix ("PORT"); None values count as not given. "CONFIG" too.
    cwd: what a relative data folder and a relative configuration file are relative to; None: the working directory.
    Returns the settings (the data folder absolute) and warnings to show at start.
    Raises SettingsError naming the key, variable or flag at fault.
    """
    base = cwd or Path.cwd()
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    variables = {k[len(PREFIX) :]: v.strip() for k, v in env.items() if k.startswith(PREFIX) and v.strip()}
    variables.pop(CLIENT_KEY, None)
    variable_config, flag_config = variables.pop("CONFIG", None), given.pop("CONFIG", None)
    config = flag_config or variable_config
    tree = _without_empty_sections(
        config_file.read(base / Path(config).expanduser() if config else base / "config.yaml", required=bool(config))
    )
    origin: dict[str, str] = {}
    for name, value in variables.items():
        _put(tree, name, value, _variable, origin)
    for name, value in given.items():
        _put(tree, name, value, flag, origin)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, origin)) from None
    for section, (kind, needed) in _DEFAULTS.items():
        _check_defaults(section, kind, needed, getattr(settings, section))
    data_dir = base / settings.paths.data_dir.expanduser()
    settings = settings.model_copy(update={"paths": settings.paths.model_copy(update={"data_dir": data_dir})})
    return settings, _warnings(settings, origin)


def _without_empty_sections(tree: dict[Any, Any]) -> dict[str, Any]:
    """A section whose every line is commented out reads as null: it says nothing."""
    return {
        str(k): _without_empty_sections(v) if isinstance(v, dict) else v
        for k, v in tree.items()
        if not (v is None and k in Settings.model_fields)
    }


def _variable(name: str) -> str:
    return PREFIX + name


def flag(name: str) -> str:
    return "--" + name.lower().replace("_", "-")


def _put(tree: dict[str, Any], name: str, value: Any, spell: Callable[[str], str], origin: dict[str, str]) -> None:
    if name not in ENVIRONMENT:
        close = difflib.get_close_matches(name, [*ENVIRONMENT, "CONFIG"], 1)
        hint = f"; did you mean {spell(close[0])}?" if close else ""
        raise SettingsError(f"unknown setting {spell(name)}{hint}")
    section, key = ENVIRONMENT[name]
    within = tree.get(section, {})
    if not isinstance(within, dict):
        return  # the file is wrong there, and validation will say so
    tree[section] = {**within, key: value}
    origin[f"{section}.{key}"] = spell(name)


def _check_defaults(section: str, kind: type[Options], needed: Mapping[str, str], values: Mapping[str, Any]) -> None:
    fields = set(kind.model_fields) - set(needed)
    for name in values:
        if name not in fields:
            raise SettingsError(f"unknown setting {section}.{name}{_meant(name, {f'{section}.{f}' for f in fields})}")
    try:
        kind.model_validate({**needed, **{k: v for k, v in values.items() if v is not None}})
    except ValidationError as error:
        raise SettingsError(_explain(error, {}, above=f"{section}.")) from None


def keys(model: type[BaseModel] = Settings, above: str = "") -> Iterator[str]:
    """Every key of the file, dotted ("server.port"), in order."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys(info.annotation, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _warnings(settings: Settings, origin: Mapping[str, str]) -> list[str]:
    """One for each key without effect that is set to something other than what happens anyway."""
    plain = Settings()
    idle = [key for key in sorted(WITHOUT_EFFECT) if _value(settings, key) != _value(plain, key)]
    return [f"{origin.get(key, key)} has no effect" for key in idle]


def _value(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


def _explain(error: ValidationError, origin: Mapping[str, str], above: str = "") -> str:
    lines = []
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        key = (above + ".".join(parts)).rstrip(".")
        name = origin.get(".".join(parts[:2]), key)
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown setting {key}{_meant(parts[-1], {*Settings.model_fields, *keys()})}")
            continue
        message = item["msg"].removeprefix("Input ").removeprefix("Value error, ")
        unsaid = key in SECRET or isinstance(item["input"], dict | list | tuple)
        lines.append(f"{name}: {message}" + ("" if unsaid else f", not {item['input']!r}"))
    return "; ".join(dict.fromkeys(lines))


def _meant(name: str, known: set[str]) -> str:
    """A hint at the key that an unknown one may be a slip of: the right name elsewhere, else the nearest spelling."""
    by_last: dict[str, str] = {}
    for key in sorted(known, reverse=True):
        by_last[key.rpartition(".")[2]] = key
    close = difflib.get_close_matches(name, by_last, 1)
    return f"; did you mean {by_last[close[0]]}?" if close else ""
