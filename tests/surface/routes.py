"""What the page's server is asked and answers: REST, WebSocket, and the endpoints for `gradio_client`.

Requests come from the OpenAPI description. Answers are not described there, so that each route is asked once about the
stored run and the keys of what it answers are listed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from analysis_app.steering.launch import Launcher, Start
from tests.golden.test_run_v1 import STORED
from tests.tiny import tiny_args, write_corpus

HOST = "localhost"
DEPTH = 4
"""How far answers are followed: deeper lie the arrays of an analysis."""
TEXT = "the cat sat on a"
ASKED: dict[str, dict[str, Any]] = {
    "/api/analyze/anatomy_part": {"part": "attn"},
    "/api/analyze/attention_row": {"layer": 0, "head": 0, "query": 3},
    "/api/analyze/batch": {"batch": 0},
    "/api/analyze/neighbours": {"token": 3},
    "/api/analyze/overlay": {"runs": ["run-v1"], "run": None},
    "/api/analyze/patching": {"text": "the cat ", "other": "the dog "},
    "/api/analyze/piece": {"text": "t"},
    "/api/generate": {"max_tokens": 2},
    "/api/sick/{number}/guess": {"choice": "post_norm_deep", "run": None},
    "/api/tokens": {"text": TEXT},
    "/api/train/lr": {"value": 0.5},
    "/api/train/plan": {"config": "quickstart"},
    "/api/train/rehearse": {"config": "quickstart"},
    "/api/train/start": {"config": "quickstart", "run": "new"},
}
"""What a route needs beside `run`; a value of None takes a key away."""
NAMES = {"/api/code/{name}": "GPT.residual"}


class NoProcess:
    """Stands where the launcher of trainings stands: starts no process, and plans a small model in this one."""

    def check(self, arguments: list[str]) -> None:
        """No mistakes."""

    def plan(self, arguments: list[str]) -> dict[str, Any]:
        """What `plan --json` says of a model that trains in a moment."""
        from lab.planning.plan import make_plan
        from lab.settings.arguments import Arguments

        with TemporaryDirectory() as folder:
            return make_plan(Arguments.of(tiny_args(Path(folder))), lambda line: None).as_dict()

    def launch(self, name: str, kind: str, arguments: list[str]) -> Start:
        """A start that was recorded."""
        return Start(name, kind, 1, 0.0, ["python", "-m", "lab", "fit", *arguments], True, [])


def make_app(folder: Path) -> FastAPI:
    """The server over a copy of the stored run."""
    from analysis_app.server.app import create_app

    runs = folder / "runs"
    if not runs.exists():
        shutil.copytree(STORED, runs / STORED.name)
        write_corpus(folder / "corpus.txt")
    return create_app(runs)


@contextmanager
def visitor(folder: Path) -> Iterator[TestClient]:
    """A client of that server."""
    with TestClient(make_app(folder), base_url=f"http://{HOST}") as client:
        yield client


# ---------------------------------------------------------------- REST


def requests(folder: Path) -> list[str]:
    """`POST /api/x body.run: string, required`, one line a path, parameter, field of a body, and status."""
    described = make_app(folder).openapi()
    lines = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            codes = sorted(code for code in operation["responses"])
            lines.append(f"{route}  → {', '.join(codes)}")
            for parameter in operation.get("parameters", []):
                kind = described_as(parameter["schema"], parameter)
                lines.append(f"{route}  {parameter['in']}.{parameter['name']}{kind}")
            content = operation.get("requestBody", {}).get("content", {})
            for kind, body in content.items():
                place = "body" if kind == "application/json" else f"body ({kind})"
                lines += [f"{route}  {line}" for line in fields(place, body["schema"], described)]
    return sorted(lines)


def fields(place: str, schema: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    """The fields of a body, one line each; classes are followed, their names left out."""
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "properties" not in schema:
        yield f"{place}{described_as(schema, {})}"
        return
    for name, field in schema["properties"].items():
        if "$ref" in field:
            yield from fields(f"{place}.{name}", field, described)
        else:
            yield f"{place}.{name}{described_as(field, {'required': name in schema.get('required', [])})}"


def described_as(schema: dict[str, Any], parameter: dict[str, Any]) -> str:
    """`: integer | null ≥ 0 = 3`."""
    kinds = schema.get("anyOf", [schema])
    text = ": " + " | ".join(sorted(one(kind) for kind in kinds))
    if "default" in schema:
        text += f" = {schema['default']!r}"
    return text + (", required" if parameter.get("required") else "")


LIMITS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "minItems": "items ≥",
    "maxItems": "items ≤",
    "pattern": "like",
}


def one(schema: dict[str, Any]) -> str:
    """`integer ≥ 0`, one alternative of a field."""
    if "enum" in schema or "const" in schema:
        return " or ".join(map(repr, schema.get("enum", [schema.get("const")])))
    text = schema.get("type", "any")
    if text == "array":
        text = f"list of {one(schema.get('items', {}))}"
    if text == "object" and isinstance(schema.get("additionalProperties"), dict):
        inside = schema["additionalProperties"]
        text = f"mapping to {' | '.join(sorted(one(kind) for kind in inside.get('anyOf', [inside])))}"
    return " ".join([text, *(f"{word} {schema[limit]}" for limit, word in LIMITS.items() if limit in schema)])


def answers(folder: Path) -> list[str]:
    """`GET /api/runs 200 [].name`, one line a key of an answer."""
    lines: set[str] = set()
    with pytest.MonkeyPatch.context() as patch, visitor(folder) as client:
        for name in ("check", "plan", "launch"):
            patch.setattr(Launcher, name, getattr(NoProcess, name))
        for path, methods in client.app.openapi()["paths"].items():  # type: ignore[attr-defined]
            for method in methods:
                body = {k: v for k, v in ({"run": STORED.name} | ASKED.get(path, {})).items() if v is not None}
                url = path.replace("{name}", NAMES.get(path, STORED.name)).replace("{number}", "1")
                found = client.request(method, url, json=body if method == "post" else None)
                assert found.status_code in (200, 202, 409), f"{method} {url}: {found.status_code} {found.text}"
                head = f"{method.upper()} {path}  {found.status_code}"
                streamed = "ndjson" in found.headers["content-type"]
                values = map(json.loads, found.text.splitlines()) if streamed else [found.json()]
                lines |= {f"{head} {key}" for value in values for key in keys(value)}
    return sorted(lines)


OPAQUE = ("model_config", "versions", "git", "events", "samples", "defaults", "configurations[].settings")
"""Keys whose insides are listed elsewhere, or are not ours."""


def keys(value: Any, place: str = "", depth: int = DEPTH) -> Iterator[str]:
    """The keys of a JSON value, dotted; `[]` is any item of a list, `*` any key of a mapping that holds names."""
    if isinstance(value, list):
        for item in value[:50]:
            yield from keys(item, f"{place}[]", depth)
    elif isinstance(value, dict) and depth:
        for key, inside in value.items():
            here = f"{place}." * bool(place) + ("*" if is_name(key) else key)
            yield here
            if not here.endswith(OPAQUE):
                yield from keys(inside, here, depth - 1)


def is_name(key: str) -> bool:
    """Whether a key is data (a metric, a setting, a number, a hook) and no part of the format."""
    return not re.fullmatch(r"[a-z_]+(256)?", key)


# ---------------------------------------------------------------- WebSocket


def messages(folder: Path) -> list[str]:
    """`metrics.columns`, one line a key of each kind of message that follows a run."""
    lines: set[str] = set()
    with visitor(folder) as client:
        run = folder / "runs" / STORED.name
        wanted = {"hello", "metrics", "rewind", "events", "samples", "status", "heartbeat"}
        seen: set[str] = set()
        with client.websocket_connect(f"ws://{HOST}/ws/runs/{STORED.name}") as socket:
            while not wanted <= seen:
                message = socket.receive_json()
                seen.add(message["type"])
                lines |= {f"{message['type']}  {key}" for key in keys(message, depth=2)}
                if message["type"] == "heartbeat":  # nothing else is on its way: let something happen
                    status = json.loads((run / "run.json").read_text())
                    (run / "run.json").write_text(json.dumps(status | {"step": status["step"] + 1}))
        with client.websocket_connect(f"ws://{HOST}/ws/runs/missing") as socket:
            message = socket.receive_json()
            lines |= {f"{message['type']}  {key}" for key in keys(message, depth=2)}
    return sorted(lines)


# ---------------------------------------------------------------- gradio_client


def endpoints(folder: Path) -> list[str]:
    """`/attention run: string = 'last'`, one line a parameter of each named endpoint."""
    lines = []
    with visitor(folder) as client:
        for name, endpoint in client.get("/gradio_api/info").json()["named_endpoints"].items():
            lines.append(name)
            for parameter in endpoint["parameters"]:
                default = f" = {parameter['parameter_default']!r}" if parameter["parameter_has_default"] else ""
                lines.append(f"{name}  {parameter['parameter_name']}: {parameter['python_type']['type']}{default}")
    return sorted(lines)
