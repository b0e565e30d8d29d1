"""Settings: config.yaml < CHATTERBOX_* environment < CLI flags, read once, strict (a typo names itself).

Only `cli` and `api.app` read this; everyone else is handed values. The file is never written by the server.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chatterbox_plus.errors import SettingsError

PREFIX = "CHATTERBOX_"
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Server(Section):
    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    log_level: Annotated[LogLevel, BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)] = "info"
    log_file_path: str | None = None
    log_file_max_size_mb: float = Field(10, gt=0)
    log_file_backup_count: int = Field(5, ge=0)
    public_url: str = ""
    trusted_hosts: tuple[str, ...] = ()
    debug: bool = False
    reload: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Paths(Section):
    """Folders below the data folder, unless absolute."""

    data_dir: Path = Path("data")
    reference_audio_dir: Path = Path("reference_audio")
    vc_input_dir: Path = Path("vc_inputs")
    output_dir: Path = Path("outputs")
    temp_dir: Path = Path("temp")
    logs_dir: Path = Path("logs")

    def under_data(self, folder: Path) -> Path:
        return self.data_dir / folder


class Models(Section):
    model: str = "auto"
    device: str = "auto"
    precision: Literal["auto", "exact", "fast", "int8"] = "auto"
    workers: int = Field(2, ge=1, le=64, description="Child processes of the built-in engine.")
    idle_unload_s: float = Field(0, ge=0, description="0 = keep models loaded.")
    preload_models: bool = True
    tts_model_path: str | None = None
    vc_model_path: str | None = None
    whisper_model: str | None = None


class Api(Section):
    max_text_length: int = Field(10_000, ge=1)
    max_upload_mb: float = Field(100, gt=0)
    max_audio_s: float = Field(14_400, gt=0)
    queue_limit: int = Field(64, ge=0, description="Interactive requests that may wait; the next gets 503.")
    request_timeout_seconds: float = Field(300, gt=0, description="Seconds without progress, then 504.")
    keep_openai_outputs: bool = False
    cleanup_temp_files: bool = True
    enable_url_downloads: bool = True
    download_timeout_seconds: float = Field(30, gt=0)
    allow_private_hosts: bool | None = None
    allowed_hosts: tuple[str, ...] = ()
    max_concurrent_requests: int = Field(5, ge=1)
    rate_limit_per_minute: int = Field(0, ge=0)
    cors_enabled: bool = True
    cors_origins: tuple[str, ...] = ()
    api_key_required: bool = False
    allowed_file_extensions: tuple[str, ...] | None = None
    sanitize_filenames: bool = True
    webhook_secret: str = ""


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
    vc_inputs_max_size_gb: float = Field(2.0, ge=0)
    cleanup_on_startup: bool = True
    cleanup_interval_hours: float = Field(5, ge=0)
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
    output_formats: tuple[str, ...] | None = None
    max_file_size_mb: float | None = None
    supported_input_formats: tuple[str, ...] | None = None
    supported_output_formats: tuple[str, ...] | None = None


class Storage(Section):
    database_url: str = ""
    storage_url: str = ""


class Settings(Section):
    """Everything that can be set. Sections as the original's config.yaml has them, plus our own keys."""

    server: Server = Server()
    paths: Paths = Paths()
    models: Models = Models()
    api: Api = Api()
    tts_defaults: dict[str, Any] = Field(default_factory=dict)
    vc_defaults: dict[str, Any] = Field(default_factory=dict)
    speed_factor: SpeedFactor = SpeedFactor()
    ui: Ui = Ui()
    resource_management: ResourceManagement = ResourceManagement()
    error_handling: ErrorHandling = ErrorHandling()
    audio: AudioDocs = AudioDocs()
    storage: Storage = Storage()


ENVIRONMENT: dict[str, tuple[str, str]] = {
    "HOST": ("server", "host"),
    "PORT": ("server", "port"),
    "LOG_LEVEL": ("server", "log_level"),
    "DEBUG": ("server", "debug"),
    "PUBLIC_URL": ("server", "public_url"),
    "TRUSTED_HOSTS": ("server", "trusted_hosts"),
    "DATA_DIR": ("paths", "data_dir"),
    "OUTPUT_DIR": ("paths", "output_dir"),
    "MODEL": ("models", "model"),
    "DEVICE": ("models", "device"),
    "PRECISION": ("models", "precision"),
    "WORKERS": ("models", "workers"),
    "IDLE_UNLOAD_S": ("models", "idle_unload_s"),
    "ALLOW_PRIVATE_HOSTS": ("api", "allow_private_hosts"),
    "ALLOWED_HOSTS": ("api", "allowed_hosts"),
    "MAX_UPLOAD_MB": ("api", "max_upload_mb"),
    "MAX_TEXT_LENGTH": ("api", "max_text_length"),
    "MAX_AUDIO_S": ("api", "max_audio_s"),
    "QUEUE_LIMIT": ("api", "queue_limit"),
    "REQUEST_TIMEOUT_S": ("api", "request_timeout_seconds"),
    "RATE_LIMIT_PER_MINUTE": ("api", "rate_limit_per_minute"),
    "API_KEY_REQUIRED": ("api", "api_key_required"),
    "CORS_ORIGINS": ("api", "cors_origins"),
    "KEEP_OPENAI_OUTPUTS": ("api", "keep_openai_outputs"),
    "WEBHOOK_SECRET": ("api", "webhook_secret"),
    "DATABASE_URL": ("storage", "database_url"),
    "STORAGE_URL": ("storage", "storage_url"),
}
"""Name after CHATTERBOX_ -> where it lives in the file. A list is comma separated."""

_LISTS = {"TRUSTED_HOSTS", "ALLOWED_HOSTS", "CORS_ORIGINS"}

WITHOUT_EFFECT = frozenset(
    {
        "server.debug", "server.reload", "models.tts_model_path", "models.vc_model_path", "models.whisper_model",
        "api.max_concurrent_requests", "api.allowed_file_extensions", "api.sanitize_filenames",
        "speed_factor.preferred_library", "speed_factor.min_speed_factor", "speed_factor.max_speed_factor",
        "audio.sample_rate", "audio.output_formats", "audio.max_file_size_mb", "audio.supported_input_formats",
        "audio.supported_output_formats",
    }
)  # fmt: skip
"""Keys of the original's files that are accepted and change nothing here; `warnings` names those that are set."""


def load(
    env: Mapping[str, str], flags: Mapping[str, Any] | None = None, *, cwd: Path | None = None
) -> tuple[Settings, list[str]]:
    """Read the settings once.

    env: usually os.environ; only CHATTERBOX_* is looked at.
    flags: the CLI's, by environment name without prefix ("PORT"); None values count as not given. "CONFIG" too.
    Returns the settings and warnings to show at start.
    Raises SettingsError naming the key, variable or flag at fault.
    """
    base = cwd or Path.cwd()
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    variables = {k[len(PREFIX) :]: v for k, v in env.items() if k.startswith(PREFIX) and v != ""}
    config = given.pop("CONFIG", None) or variables.pop("CONFIG", None)
    tree = _read_file(base / config if config else base / "config.yaml", required=config is not None)
    warnings = [f"config: {key} has no effect" for key in sorted(_keys(tree) & WITHOUT_EFFECT)]
    origin: dict[tuple[str, str], str] = {}
    for name, value in variables.items():
        _put(tree, name, value.split(",") if name in _LISTS else value, PREFIX + name, origin)
    for name, value in given.items():
        _put(tree, name, value, "--" + name.lower().replace("_", "-"), origin)
    try:
        return Settings.model_validate(tree), warnings
    except ValidationError as error:
        raise SettingsError(_explain(error, origin)) from None


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise SettingsError(f"there is no configuration file {path.name}") from None
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not valid YAML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{path.name} must be a mapping of sections")
    return tree


def _put(tree: dict[str, Any], name: str, value: Any, shown: str, origin: dict[tuple[str, str], str]) -> None:
    if name not in ENVIRONMENT:
        raise SettingsError(f"unknown setting {shown}")
    section, key = ENVIRONMENT[name]
    within = tree.get(section)
    tree[section] = {**within, key: value} if isinstance(within, dict) else {key: value}
    origin[section, key] = shown


def _keys(tree: Mapping[str, Any], above: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in tree.items():
        found |= _keys(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}"}
    return found


def _explain(error: ValidationError, origin: Mapping[tuple[str, str], str]) -> str:
    lines = []
    for item in error.errors():
        where = tuple(str(part) for part in item["loc"])
        shown = origin.get((where[0], where[1])) if len(where) > 1 else None
        name = shown or ".".join(where)
        lines.append(f"unknown setting {name}" if item["type"] == "extra_forbidden" else f"{name}: {item['msg']}")
    return "; ".join(lines)
