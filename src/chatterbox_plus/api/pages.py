"""What a browser gets: a page to hear speech on, and the two renderings of the API's description. No foreign hosts."""

import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from chatterbox_plus.api.errors import Reply
from chatterbox_plus.api.system import about
from chatterbox_plus.settings import Ui

router = APIRouter(include_in_schema=False)
_WEB = Path(str(files("chatterbox_plus") / "web"))
_STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DOCS = (
    # both renderers put styles in from their scripts; Redoc searches in a worker made from a blob
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src blob:; media-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'"
)
_DOCUMENT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/assets/icon.svg">
{body}
</html>
"""
_SWAGGER = """<link rel="stylesheet" href="/assets/docs/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="/assets/docs/swagger-ui-bundle.js"></script>
<script type="module" src="/assets/docs.js"></script>"""
_REDOC = """<link rel="stylesheet" href="/assets/redoc.css">
<redoc spec-url="/openapi.json"></redoc>
<script src="/assets/docs/redoc.standalone.js"></script>"""


def addresses(ui: Ui) -> frozenset[str]:
    """The page's other addresses."""
    return frozenset({"/" + ui.mount_path.strip("/")} if ui.enable_ui else ())


def mount(app: FastAPI, ui: Ui) -> None:
    """Serve the pages and everything they load."""
    page = HTMLResponse(_shell(ui.title), headers={"Vary": "Accept", "Content-Security-Policy": _STRICT})

    async def root(request: Request) -> Response:
        """The page for browsers, a short description for programs."""
        if ui.enable_ui and "text/html" in request.headers.get("accept", ""):
            return page
        return Reply(about(), headers={"Vary": "Accept"})

    async def elsewhere() -> Response:
        return RedirectResponse("/", 307)

    app.add_api_route("/", root, methods=["GET", "HEAD"], include_in_schema=False)
    if ui.enable_ui and ui.mount_path.rstrip("/"):
        app.add_api_route("/" + ui.mount_path.strip("/"), elsewhere, methods=["GET"], include_in_schema=False)
    app.include_router(router)
    app.mount("/assets/docs", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.mount("/assets", GZipMiddleware(_Assets(directory=_WEB), minimum_size=1000))


class _Assets(StaticFiles):
    """The page's parts. Browsers ask whether theirs are still the newest: after an upgrade no page is half old."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _shell(title: str) -> str:
    """The page before any script has run, with its words put in. Raises KeyError for words that do not exist."""
    words: Mapping[str, Any] = json.loads((_WEB / "text" / "en.json").read_text(encoding="utf-8"))

    def said(key: re.Match[str]) -> str:
        if key[1] == "title":
            return escape(title)
        section, name = key[1].split(".")
        return escape(words[section][name])

    return re.sub(r"\{\{([\w.]+)\}\}", said, (_WEB / "index.html").read_text(encoding="utf-8"))


@router.get("/docs")
async def docs(request: Request) -> Response:
    return _page(f"{request.app.title}: API", _SWAGGER)


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    return _page(f"{request.app.title}: API", _REDOC)


def _page(title: str, body: str) -> Response:
    document = _DOCUMENT.format(title=escape(title), body=body)
    return HTMLResponse(document, headers={"Content-Security-Policy": _DOCS})
