"""The one place where settings become a working house; only `api.app` and `cli` come here."""

from pathlib import Path
from typing import TYPE_CHECKING

from chatterbox_plus.access.keyring import GRACE_S, Keyring
from chatterbox_plus.audio.decode import DecodeLimits, Decoder
from chatterbox_plus.engines.neural import NeuralOptions
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import SettingsError
from chatterbox_plus.house_models import open_shelf
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.library.library import Library
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.sources import Sources
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import Takes

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox_plus.access.keys import KeyStore
    from chatterbox_plus.jobs.files import TaskFiles
    from chatterbox_plus.jobs.queue import Jobs
    from chatterbox_plus.library.mirror import Mirror
    from chatterbox_plus.net.client import GuardedClient
    from chatterbox_plus.synthesis.results import Result

_LARGEST_RATE, _LARGEST_FRAME = 96_000, 8  # Hz; bytes: two channels of 32 bits
_UPLOAD_MB = 2**20  # bytes; as uploads are measured


def build_studio(settings: Settings) -> Studio:
    """Everything wired up, nothing started: `Studio.start` does that.

    Raises SettingsError for defaults that no request could have, and for allowed hosts that are none.
    """
    paths, models, api = settings.paths, settings.models, settings.api
    mirror = _mirror(settings)
    library = Library(
        reference_audio=paths.under_data(paths.reference_audio_dir),
        vc_inputs=paths.under_data(paths.vc_input_dir),
        outputs=paths.under_data(paths.output_dir),
        temp=paths.under_data(paths.temp_dir),
        data=paths.data_dir,
        mirror=mirror,
        trash_keep_s=settings.resource_management.cleanup.trash_keep_hours * 3600,
    )
    neural = NeuralOptions(
        paths.data_dir / "voiceprints",
        models.device,
        models.precision,
        round(models.memory_budget_gb * 10**9),
        settings.error_handling.model_loading.loading_timeout_seconds,
        models.idle_unload_s,
    )
    engines = Engines(
        models.model,
        workers=models.workers,
        idle_exit_s=models.idle_unload_s,
        shelf=open_shelf(settings),
        neural=neural,
    )
    limits = DecodeLimits(max_bytes=_largest_file(api.max_audio_s), max_duration_s=api.max_audio_s)
    return Studio(
        library,
        engines,
        Decoder(limits),
        capacity=models.workers + api.queue_limit,
        timeout_s=api.request_timeout_seconds,
        max_text_chars=api.max_text_length,
        sources=_sources(settings),
        takes=Takes(_content(settings, mirror)),
        speech_defaults={"speed_factor": settings.speed_factor.default_speed_factor, **settings.tts_defaults},
        conversion_defaults=settings.vc_defaults,
    )


def _mirror(settings: Settings) -> "Mirror | None":
    if not settings.storage.storage_url:
        return None
    try:
        from chatterbox_plus.library.mirror import Mirror
        from chatterbox_plus.library.objects import Objects
    except ImportError:
        raise SettingsError("storage.storage_url needs more packages: pip install 'chatterbox-plus[s3]'") from None
    return Mirror(Objects.at(settings.storage.storage_url), settings.paths.data_dir / "mirror.sqlite")


def _content(settings: Settings, mirror: "Mirror | None") -> ContentStore:
    folder, most = settings.paths.data_dir / "takes", round(settings.jobs.takes_max_gb * 10**9)
    if mirror is None:
        return ContentStore(folder, most)
    from chatterbox_plus.library.shared_content import SharedContent

    shared = SharedContent(folder, most, mirror.objects)
    mirror.at_close(shared.close)
    return shared


def _task_files(root: Path, mirror: "Mirror | None") -> "TaskFiles":
    from chatterbox_plus.jobs.files import TaskFiles

    if mirror is None:
        return TaskFiles(root)
    from chatterbox_plus.library.shared_shelf import SharedShelf

    return TaskFiles(root, SharedShelf(mirror, mirror.area("jobs", root, eager=False)))


def _sources(settings: Settings) -> Sources | None:
    api, retries = settings.api, settings.error_handling.download_retries

    def connect() -> "GuardedClient":
        from chatterbox_plus.net.client import GuardedClient, Retries  # takes 0.1 s to import, and few need it
        from chatterbox_plus.net.guard import Guard

        guard = Guard(api.allow_private_hosts is True, api.allowed_hosts)  # unset is a no, where sources are concerned
        tries = Retries(
            retries.max_retries,
            retries.base_delay_seconds,
            retries.max_delay_seconds,
            retries.backoff_factor,
            retries.enable_jitter,
        )
        return GuardedClient(guard, retries=tries)

    if api.allowed_hosts:
        connect()  # a wrong entry is known at start
    if not api.enable_url_downloads:
        return None
    return Sources(connect, max_bytes=round(api.max_upload_mb * _UPLOAD_MB), deadline_s=api.download_timeout_seconds)


def build_jobs(
    settings: Settings,
    studio: Studio,
    keyring: Keyring | None = None,
    made: "Callable[[Result], None]" = lambda _: None,
) -> "Jobs":
    """Durable work, wired up; nothing is opened before it is needed. made: told of results. Raises SettingsError."""
    from chatterbox_plus.jobs.book import make_book
    from chatterbox_plus.jobs.database import Database, database_url
    from chatterbox_plus.jobs.links import Finisher
    from chatterbox_plus.jobs.queue import Jobs
    from chatterbox_plus.jobs.states import Kind
    from chatterbox_plus.net.guard import Guard

    api, jobs, data_dir = settings.api, settings.jobs, settings.paths.data_dir
    private = settings.server.loopback if api.allow_private_hosts is None else api.allow_private_hosts
    sign = None if keyring is None else keyring.signer.link
    return Jobs(
        Database(database_url(settings.storage.database_url, data_dir)),
        studio,
        _task_files(data_dir / "jobs", studio.library.mirror),
        Guard(private, api.allowed_hosts),
        concurrency=jobs.concurrency,
        max_unfinished=jobs.max_unfinished,
        keep_days=jobs.keep_days,
        webhook_secret=api.webhook_secret,
        finish=Finisher(sign),
        kinds={Kind.BOOK: make_book},
        made=made,
    )


def open_keys(settings: Settings) -> "KeyStore":
    """The keys, whether or not anybody is asked for one: beside the tasks where those are in PostgreSQL, else in the
    data folder. Raises SettingsError."""
    from chatterbox_plus.access.keys import KeyStore  # the database takes 0.2 s to import, and few need it
    from chatterbox_plus.jobs.database import Database, database_url

    if settings.storage.database_url:
        database = Database(database_url(settings.storage.database_url, settings.paths.data_dir))
        if not database.is_sqlite:
            return KeyStore(database.engine)
    return KeyStore.at(settings.paths.data_dir)


def open_keyring(settings: Settings) -> Keyring:
    """The keys as a running server holds them. Raises SettingsError."""
    store = open_keys(settings)
    return Keyring(store, grace_s=GRACE_S if store.is_remote else 0.0)


def _largest_file(max_audio_s: float) -> int:
    """Bytes of the longest recording that may be worked on, as plainly stored as anybody does. Uploads have a limit of
    their own while they arrive; this is for what lies in the data folder."""
    return round(max_audio_s * _LARGEST_RATE * _LARGEST_FRAME)
