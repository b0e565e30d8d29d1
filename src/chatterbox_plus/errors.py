"""Everything raised on purpose, one family, each with a stable code.

A message is written for the person who made the request: it says what is wrong and, where it can, what to do. It never
holds a traceback, an absolute path or a library's own words. `status` is the HTTP status the error has on the API.
"""


class PlusError(Exception):
    """Raised on purpose and safe to show."""

    status = 500
    code = "INTERNAL_ERROR"
    retry_after_s: int | None = None
    details: tuple[tuple[str, str], ...] = ()
    """Where several things are wrong at once: place and message of each."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """param: the name of the option at fault, if one is."""
        super().__init__(message)
        self.message = message
        self.param = param

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.param)  # errors cross process borders


def _rebuild(kind: type[PlusError], message: str, param: str | None) -> PlusError:
    return kind(message, param=param)


class BadRequest(PlusError):
    """The request makes no sense as a whole (missing part, contradictory parts, bad JSON in a form field)."""

    status, code = 400, "VALIDATION_ERROR"


class InvalidOption(PlusError):
    """A field has a value outside its range or not among its choices."""

    status, code = 422, "VALIDATION_ERROR"


class TextTooLong(PlusError):
    """The text is longer than the server's limit."""

    status, code = 422, "TEXT_TOO_LONG"


class UnsupportedFormat(PlusError):
    """A file whose name says it is no audio format we take."""

    status, code = 400, "UNSUPPORTED_FORMAT"


class InvalidAudio(PlusError):
    """A file whose content is not audio that can be decoded, or has none in it."""

    status, code = 400, "INVALID_AUDIO"


class AudioTooLong(InvalidAudio):
    """A recording longer, or dearer to decode, than the server's limits."""


class FileTooLarge(PlusError):
    """An upload over the size limit."""

    status, code = 413, "FILE_TOO_LARGE"


class Unauthorized(PlusError):
    """No key, or none that is known."""

    status, code = 401, "INVALID_API_KEY"


class RateLimited(PlusError):
    """More requests in a minute than this caller may make."""

    status, code, retry_after_s = 429, "RATE_LIMITED", 60


class PermissionDenied(PlusError):
    """A name that leads out of its folder, or a forbidden host."""

    status, code = 403, "PERMISSION_DENIED"


class NotFound(PlusError):
    """A voice, input, output or route that does not exist."""

    status, code = 404, "RESOURCE_NOT_FOUND"


class Ambiguous(PlusError):
    """A bare name that several stored files share."""

    status, code = 409, "AMBIGUOUS_NAME"


class FileExists(PlusError):
    """Something stored would have been overwritten."""

    status, code = 409, "FILE_EXISTS"


class ModelNotInstalled(PlusError):
    """A known model whose files are not here."""

    status, code = 409, "MODEL_NOT_INSTALLED"


class InvalidModel(PlusError):
    """A model's files are missing, cut off, damaged or another model's; the message names the file, and the key."""

    status, code = 409, "INVALID_MODEL"


class MissingExtra(PlusError):
    """A feature whose optional packages are not installed."""

    status, code = 400, "MISSING_EXTRA"


class SettingsError(PlusError):
    """The configuration file, the environment or a flag is wrong; raised before anything starts."""

    status, code = 500, "CONFIGURATION_ERROR"


class GenerationError(PlusError):
    """The engine failed at this request (it may have been restarted); the same request may work again."""

    status, code = 500, "GENERATION_ERROR"


class ModelLoadError(PlusError):
    """An engine could not be started."""

    status, code = 503, "MODEL_LOAD_ERROR"


class Overloaded(PlusError):
    """Too many requests are waiting already."""

    status, code, retry_after_s = 503, "SERVICE_OVERLOADED", 30


class GenerationTimeout(PlusError):
    """No progress for longer than `request_timeout_seconds`."""

    status, code = 504, "GENERATION_TIMEOUT"


class DownloadFailed(PlusError):
    """What a URL points to could not be fetched."""

    status, code = 502, "DOWNLOAD_FAILED"


class StorageFull(PlusError):
    """No room left in the data folder."""

    status, code = 507, "STORAGE_FULL"


class StorageUnwritable(PlusError):
    """The data folder cannot be written: permissions, a read-only disk, a folder taken away meanwhile."""

    status, code = 500, "STORAGE_ERROR"


class StorageAway(StorageUnwritable):
    """The store that several servers have their audio in does not answer; what was asked for has not been done."""

    status, code, retry_after_s = 503, "STORAGE_UNAVAILABLE", 5


class DatabaseAway(PlusError):
    """The database of tasks is locked, stopped or out of reach; what was sent has not been taken."""

    status, code, retry_after_s = 503, "DATABASE_UNAVAILABLE", 5


class WrongState(PlusError):
    """A task, or a pull of a model, is not in a state in which that can be done with it."""

    status, code = 409, "WRONG_STATE"


class KeyReused(PlusError):
    """An Idempotency-Key that came with another request before."""

    status, code = 422, "IDEMPOTENCY_KEY_REUSED"


class Stopping(PlusError):
    """The server is being stopped; the request was not finished."""

    status, code, retry_after_s = 503, "SERVICE_STOPPING", 5


class Cancelled(PlusError):
    """The caller went away or called it off; nobody is left to read this."""

    status, code = 499, "CANCELLED"
