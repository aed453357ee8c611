"""Every route as the OpenAPI schema describes it, fed with what schemathesis makes of that: no answer is a 500."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from analysis_app.steering.launch import Launcher, Start

schemathesis = pytest.importorskip("schemathesis", reason="pip install -e '.[test]'")

EXAMPLES = 3


def test_no_route_has_a_server_error(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis_app.server.app import create_app

    def launch(self: Launcher, name: str, kind: str, arguments: list[str]) -> Start:
        return Start(name, kind, 1, 0.0, ["fit", *arguments], False, [])

    monkeypatch.setattr(Launcher, "launch", launch)
    monkeypatch.setattr(Launcher, "check", lambda self, arguments: None)
    planned = {"forecasts": {}, "unsaid": {}, "epochs": None, "rehearsal": {"seconds": 1.0}}
    monkeypatch.setattr(Launcher, "plan", lambda self, arguments: planned)
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(runs), headers={"Host": "localhost"})
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def try_it(case: Any) -> None:
            answer = case.call(headers={"Host": "localhost"})
            assert answer.status_code < 500, f"{case.method} {case.formatted_path} {case.body}: {answer.text}"

        try_it()
        tried += 1
    assert tried >= 20
