"""The costs of a configuration, asked over REST while it is being chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from analysis_app.server.app import create_app
from lab.model import GPTConfig, count_parameters


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return TestClient(create_app(tmp_path_factory.mktemp("runs")), base_url="http://127.0.0.1")


def test_it_answers_what_a_run_would_cost(client: TestClient) -> None:
    asked = {"config": "shakespeare_char", "overrides": {"steps": 100, "batch_size": 2, "tokenizer": "bytes"}}
    found = client.post("/api/train/plan", json=asked).json()
    config = GPTConfig(context_length=64, bias=False, vocab_size=257)
    assert found["parameters"] == count_parameters(config)
    assert (found["steps"], found["tokens"]) == (100, 100 * 2 * 64)
    assert 0 < found["memory"]["activations"] < found["memory"]["peak"]


def test_minutes_leave_tokens_unknown(client: TestClient) -> None:
    found = client.post("/api/train/plan", json={"config": "quickstart"}).json()
    assert found["tokens"] is None
    assert found["memory"]["weights"] == 4 * found["parameters"]["total"]


@pytest.mark.parametrize(
    "overrides", [{"n_layers": -1}, {"d_model": 100, "n_heads": 3, "n_layers": 1}, {"colour": "red"}]
)
def test_what_cannot_be_is_a_sentence(client: TestClient, overrides: dict[str, object]) -> None:
    answer = client.post("/api/train/plan", json={"config": "quickstart", "overrides": overrides})
    assert answer.status_code in (400, 422)
    assert "Traceback" not in answer.text


def test_kernels_are_those_of_the_newest_run(tmp_path: Path) -> None:
    from analysis_app.library import Library
    from analysis_app.server.routes.plan import newest_levers
    from lab.runs import StatusWriter, create_run

    assert newest_levers(Library(tmp_path)) == {}
    chosen = {"precision": "32-true", "attention": "sdpa", "loss": "whole", "dropout": "torch", "threads": 2}
    levers = {name: {"value": value, "reason": ""} for name, value in chosen.items()}
    StatusWriter(create_run(tmp_path, "one"), total_steps=1, levers=levers).close()
    assert newest_levers(Library(tmp_path)) == {k: v for k, v in chosen.items() if k != "threads"}
