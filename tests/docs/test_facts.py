"""Names, defaults, ranges, routes, codes and settings that the pages tell are those that the program has."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus import errors
from chatterbox_plus.api.app import create_app
from chatterbox_plus.api.errors import _CODES
from chatterbox_plus.settings import CLIENT_KEY, ENVIRONMENT, PREFIX, Settings
from tests.docs.pages import DOCS, PAGES, ROOT, FieldTable, prose, tables

TABLES = [table for page in PAGES for table in tables(page)]
ROUTE = re.compile(r"`(GET|HEAD|POST|PUT|PATCH|DELETE) (/[^`?\s]*)")
_BOUNDS = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"))
NO_PAGE = {"/docs", "/redoc", "/openapi.json"}  # described by themselves


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def described(spec: dict[str, Any], table: FieldTable) -> dict[str, dict[str, Any]]:
    """Name -> schema of everything the route takes in that place; "required" added to each."""
    route = spec["paths"][table.path][table.method.lower()]
    if table.kind == "query":
        found = [item for item in route["parameters"] if item["in"] == "query"]
        needed = [item["name"] for item in found if item.get("required")]
        return {n: {**resolved(spec, item["schema"]), "required": n in needed} for item in found if (n := item["name"])}
    media = "application/json" if table.kind == "fields" else "multipart/form-data"
    schema = resolved(spec, route["requestBody"]["content"][media]["schema"])
    needed = schema.get("required", [])
    return {name: {**resolved(spec, value), "required": name in needed} for name, value in schema["properties"].items()}


def resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, without the ways in which it says "or null"."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]}
    if "$ref" in schema:
        within: Any = spec
        for part in schema["$ref"].removeprefix("#/").split("/"):
            within = within[part]
        schema = {**within, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def default_cell(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if schema["required"]:
        return "required"
    if value is None:
        return ""
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def range_cell(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "enum" in schema.get("items", {}):
        return "of " + ", ".join(f"`{value}`" for value in schema["items"]["enum"])
    if schema.get("minLength") == 1 and "maxLength" not in schema:
        return "not empty"
    if "exclusiveMinimum" in schema:
        return f"> {schema['exclusiveMinimum']:.10g}, ≤ {schema['maximum']:.10g}"
    for low, high, unit in _BOUNDS:
        if low in schema and high in schema:
            return f"{schema[low]:.10g} – {schema[high]:.10g}{unit}"
        if low in schema or high in schema:
            return f"≥ {schema[low]:.10g}{unit}" if low in schema else f"≤ {schema[high]:.10g}{unit}"
    return ""


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t.page.stem} {t.kind} {t.method} {t.path}")
def test_a_table_tells_the_defaults_and_ranges_there_are(table: FieldTable, description: dict[str, Any]) -> None:
    known = described(description, table)
    for name, default, allowed, meaning in table.rows:
        schema = known[name.strip("`")]
        wanted = f"| {name} | {default_cell(schema)} | {range_cell(schema)} |"
        assert f"| {name} | {default} | {allowed} |" == wanted
        assert meaning, f"nothing is said about {name}"


def test_tables_leave_out_no_field(description: dict[str, Any]) -> None:
    told: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for table in TABLES:
        told[table.kind, table.method, table.path] |= {row[0].strip("`") for row in table.rows}
        table_of = {(t.kind, t.method, t.path): t for t in TABLES}
    assert {key: set(described(description, table_of[key])) - names for key, names in told.items()} == {
        key: set() for key in told
    }


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_route_that_is_told_exists(page: Path) -> None:
    app = create_app(Settings())
    real = {(m, blank(r.path)) for r in flat(app.routes) for m in (getattr(r, "methods", None) or ())}
    assert sorted(routes_in(page) - real) == []


def flat(routes: Any) -> Iterator[Any]:
    """Routes, those of included routers too (newer FastAPI keeps them apart)."""
    for route in routes:
        if (router := getattr(route, "original_router", None)) is not None:
            yield from flat(router.routes)
        elif hasattr(route, "path"):
            yield route


def routes_in(page: Path) -> set[tuple[str, str]]:
    return {(m, blank(path.rstrip("…"))) for m, path in ROUTE.findall(prose(page)) if path not in NO_PAGE}


def blank(path: str) -> str:
    """Without the names of its parameters; everything after an open end ("/outputs/…") is one."""
    path = re.sub(r"\{[^}]*\}", "{}", path)
    return path + "{}" if path.endswith("/") and path != "/" else path


def test_the_error_page_has_every_code_and_its_status() -> None:
    told = re.findall(
        r"^\| `([A-Z_]+)` \| (\d{3}) \|", (DOCS / "guides" / "error-handling.md").read_text("utf-8"), re.M
    )
    raised = {(kind.code, str(kind.status)) for kind in family(errors.PlusError)}
    ours = {(code, str(status)) for status, code in _CODES.items()}
    unseen = {
        ("CONFIGURATION_ERROR", "500"),  # before any request
        ("CANCELLED", "499"),  # to nobody
        ("UNAUTHORIZED", "401"),  # what is refused for want of a key says INVALID_API_KEY
    }
    assert set(told) == (raised | ours) - unseen


def family(kind: type[errors.PlusError]) -> Iterator[type[errors.PlusError]]:
    """Every error that a client of the API may meet: `create_app` has imported them all."""
    if kind.__module__.startswith("chatterbox_plus.") and not kind.__module__.startswith("chatterbox_plus.commands."):
        yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_variable_that_is_told_is_read(page: Path) -> None:
    told = set(re.findall(PREFIX + r"([A-Z_]*[A-Z])\b", page.read_text("utf-8")))
    assert told <= {*ENVIRONMENT, "CONFIG", CLIENT_KEY}


def test_every_route_has_its_page(description: dict[str, Any]) -> None:
    routes = {(method.upper(), blank(path)) for path, found in description["paths"].items() for method in found}
    told = {route for page in PAGES for route in routes_in(page)}
    assert sorted(routes - told) == []
