"""The OpenAPI document, finished: what every route answers besides its own business, and how a key is shown."""

from typing import Any

from fastapi import FastAPI

from chatterbox_plus.api.access import COOKIE, is_public
from chatterbox_plus.api.errors import is_openai
from chatterbox_plus.api.replies import MEANINGS

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the server asks for one."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same, in another header."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "What the page is given for a key."},
}
_FASTAPIS_WORDS = "Validation Error"  # for a 422 that the route does not describe itself
_ALWAYS, _GUARDED, _WITH_BODY = (400, 403, 431, 500), (401, 429), (408, 413)


def finish(app: FastAPI) -> None:
    """Lets the app describe itself so."""
    plain = app.openapi

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = _SCHEMES
    for path, methods in document["paths"].items():
        schema = "OpenAIErrorBody" if is_openai(path) else "ErrorBody"
        for method, operation in methods.items():
            public = is_public(method.upper(), path)
            # an empty requirement: servers without keys ask for none
            operation["security"] = [] if public else [{}, *({name: []} for name in _SCHEMES)]
            replies = operation["responses"]
            for status in _ALWAYS + (() if public else _GUARDED) + (_WITH_BODY if "requestBody" in operation else ()):
                replies.setdefault(str(status), {"description": MEANINGS[status]})
            for status, reply in replies.items():
                if status == "422" and reply["description"] == _FASTAPIS_WORDS:
                    reply["description"] = MEANINGS[422]
                if status == "default" or int(status) >= 400:
                    reply["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
