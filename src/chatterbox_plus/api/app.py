"""The HTTP API: `create_app(settings)` is a value; nothing runs before the server starts it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from chatterbox_plus import __version__
from chatterbox_plus.api import (
    admin,
    asynchronous,
    batch,
    book,
    cleanup,
    concat,
    conversion,
    description,
    errors,
    inputs,
    keys,
    live,
    mixed,
    models,
    openai,
    openai_voices,
    options,
    output_zip,
    outputs,
    pages,
    passages,
    presets,
    session,
    speech,
    system,
    task_audio,
    task_changes,
    task_events,
    tasks,
    trash,
    voice_check,
    voices,
    warmup,
)
from chatterbox_plus.api.access import Access
from chatterbox_plus.api.bridge import Bridge
from chatterbox_plus.api.cleaner import Cleaner
from chatterbox_plus.api.errors import Unexpected
from chatterbox_plus.api.failures import tell_every_hour
from chatterbox_plus.api.history import keep_looking
from chatterbox_plus.api.metrics import Metrics
from chatterbox_plus.api.middleware import (
    EXPOSED_HEADERS,
    LOOPBACK_ORIGIN,
    MB,
    Admission,
    BodyLimit,
    Door,
    HeadLikeGet,
    Introduction,
)
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.api.watch import Watch
from chatterbox_plus.bridges import sillytavern
from chatterbox_plus.bridges.ready import announces, wyoming_host
from chatterbox_plus.bridges.ready import check as check_bridges
from chatterbox_plus.errors import ModelLoadError
from chatterbox_plus.house import build_jobs, build_studio, open_keyring
from chatterbox_plus.house_models import open_hub, open_shelf
from chatterbox_plus.models.pulls import Pulls
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.studio import Studio

if TYPE_CHECKING:
    from chatterbox_plus.bridges.mcp_route import McpRoute
    from chatterbox_plus.bridges.wyoming import WyomingServer

MCP_PATH = "/mcp"
SPARE_THREADS = 16  # for requests that a full house refuses, and for looking things up
_log = logging.getLogger(__name__)
_DESCRIPTION = """Speech that you own: text to speech in any voice, voice conversion, and joining, on your own machine.

Errors are one flat object (`error`, `error_code`, `detail`, `request_id`); OpenAI's routes answer in OpenAI's form.
"""
_CHAPTERS = (
    "speech",
    "conversion",
    "joining",
    "tasks",
    "OpenAI",
    "SillyTavern",
    "voices",
    "conversion inputs",
    "outputs",
    "presets",
    "models",
    "system",
    "administration",
    "access",
)


def create_app(
    settings: Settings, studio: Studio | None = None, wyoming_listener: socket.socket | None = None
) -> FastAPI:
    """The application. Raises SettingsError for a bridge that cannot be built.

    studio: one that somebody else has started and will close; None: our own, made from the settings when the server
    starts and closed when it stops. wyoming_listener: what Wyoming's clients connect to; None: as the settings say.
    """
    check_bridges(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threads = settings.models.workers + settings.api.queue_limit + SPARE_THREADS
        bridge = Bridge(threads, settings.api.request_timeout_seconds, metrics.made)
        own = keyring = cleaner = jobs = pulls = None
        beside: list[asyncio.Task[None]] = []
        try:
            if studio is None:
                own = await bridge.call(_started, settings)
            used = studio or own
            assert used is not None
            if settings.api.api_key_required:
                keyring = await bridge.call(open_keyring, settings)
            cleaner = Cleaner(used.library, settings)
            jobs = build_jobs(settings, used, keyring, metrics.made)
            watch = Watch(used.library, cleaner, jobs)
            pulls = Pulls(open_shelf(settings), open_hub(settings), used.engines.changed)
            app.state.api = ApiState(settings, used, bridge, metrics, watch, jobs, pulls, keyring)
            beside.append(asyncio.create_task(bridge.call(jobs.start)))
            cleaner.start()
            beside.append(asyncio.create_task(keep_looking(metrics.history, watch, used)))
            beside.append(asyncio.create_task(bridge.call(used.library.look_around)))
            if settings.error_handling.error_tracking.log_error_summaries:
                beside.append(asyncio.create_task(tell_every_hour(metrics.failures)))
            async with AsyncExitStack() as bridges:
                if mcp is not None:
                    await bridges.enter_async_context(mcp.running())
                if settings.bridges.wyoming:
                    app.state.wyoming = await _wyoming(app.state.api, wyoming_listener)
                    bridges.push_async_callback(app.state.wyoming.stop)
                yield
        finally:
            for task in beside:
                task.cancel()
            if pulls is not None:
                await bridge.call(pulls.close)
            if jobs is not None:
                await bridge.call(jobs.close)
            if cleaner is not None:
                await bridge.call(cleaner.stop)
            if keyring is not None:
                await bridge.call(keyring.close)
            bridge.stop()
            if own is not None:
                await bridge.call(own.close)
            bridge.close()

    metrics = Metrics(settings.error_handling.error_tracking.max_errors_stored)
    app = FastAPI(
        title="Chatterbox Plus",
        version=__version__,
        description=_DESCRIPTION,
        openapi_tags=[{"name": name} for name in _CHAPTERS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    # A request tries them in this order, and health is asked most often; the document has an order of its own.
    for room in (
        system,
        openai,
        voices,
        voice_check,
        trash,
        inputs,
        output_zip,
        outputs,
        speech,
        live,
        conversion,
        concat,
        mixed,
        task_changes,  # before what takes its name for a task's id
        tasks,
        task_events,
        task_audio,
        passages,
        asynchronous,
        batch,
        book,
        options,
        presets,
        models,
        warmup,
        admin,
        cleanup,
        session,
        keys,
        openai_voices,
        sillytavern,
    ):
        app.include_router(room.router)
    mcp = _mcp(app, settings) if settings.bridges.mcp else None
    pages.mount(app, settings.ui)
    description.finish(app)
    _guard(app, settings, metrics)
    return app


async def _wyoming(state: ApiState, listener: socket.socket | None) -> "WyomingServer":
    from chatterbox_plus.bridges.wyoming import WyomingServer  # an extra's packages

    settings = state.settings
    server, host = WyomingServer(state, settings.bridges.wyoming_languages), wyoming_host(settings)
    await server.start(host, settings.bridges.wyoming_port, listener, announce=announces(settings))
    return server


def _mcp(app: FastAPI, settings: Settings) -> "McpRoute":
    from chatterbox_plus.bridges.mcp_route import McpRoute  # an extra's packages

    route = McpRoute(app, settings.server.public_url)
    # Only POST: without sessions there is nothing that a GET could listen to.
    app.router.routes.append(Route(MCP_PATH, route, methods=["POST"], include_in_schema=False))
    return route


def _started(settings: Settings) -> Studio:
    studio = build_studio(settings)
    try:
        studio.start(preload=settings.models.preload_models)
    except ModelLoadError as error:  # requests will be told; the rest of the house works
        _log.error("%s", error.message)
    except BaseException:
        studio.close()
        raise
    return studio


def _guard(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """The middleware, innermost first."""
    server, api = settings.server, settings.api
    origins = api.cors_origins if api.cors_enabled else ()
    neighbours = LOOPBACK_ORIGIN if api.cors_enabled and server.loopback else None
    hosts = [*server.trusted_hosts, urlsplit(server.public_url).hostname or "", server.host]
    app.add_middleware(HeadLikeGet)
    app.add_middleware(Unexpected)
    largest = round(max(api.max_request_mb, api.max_upload_mb) * MB)
    app.add_middleware(BodyLimit, max_request_bytes=largest, max_text_length=api.max_text_length)
    app.add_middleware(Admission)
    app.add_middleware(Access, rate_limit_per_minute=api.rate_limit_per_minute, pages=pages.addresses(settings.ui))
    if origins or neighbours:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_origin_regex=neighbours,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(
        Door,
        # With keys a rebound name is of no use: its page has none, and our cookie belongs to another name.
        hosts=None if api.api_key_required and not (server.loopback or server.trusted_hosts) else hosts,
        local_names=not (server.loopback or server.trusted_hosts),
        origins=origins,
        origin_regex=neighbours,
    )
    app.add_middleware(Introduction, metrics=metrics)
