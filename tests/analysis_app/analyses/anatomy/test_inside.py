"""Inside a part: its activations step by step, and the routes that ask for them."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np

import lab
from analysis_app.analyses.anatomy.inside import inside
from analysis_app.library import Library
from lab import interp
from scripts.page_server import Server
from tests.patience import PATIENCE

TEXT = "the cat sat"


def test_each_step_of_attention_shows_what_the_cache_holds(library: Library, runs: Path) -> None:
    model, tokenizer = lab.load("tiny", root=runs)
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    attn = inside(library.open("tiny"), TEXT, part="attn", layer=1, head=1)
    for step in attn["steps"]:
        x = cache[str(step.site)][0]
        assert step.shape == [1, *x.shape]
        x = x[1] if step.square else x[:, 1] if x.ndim == 3 else x
        np.testing.assert_allclose(step.numbers.picture, x if step.square else x[:, step.numbers.dims].T, atol=1e-6)


def test_the_routes(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        body = {"run": "tiny", "text": TEXT}
        whole = client.post("/api/analyze/anatomy", json=body).json()
        assert [part["key"] for part in whole["parts"][:3]] == ["text", "tokens", "embed"]
        part = client.post("/api/analyze/anatomy_part", json=body | {"part": "mlp", "layer": 1}).json()
        assert part["steps"][-1]["site"] == "blocks.1.hook_mlp_out"
        for wrong in ({"part": "brain"}, {"part": "attn", "layer": 9}, {"part": "attn", "head": 2}):
            refused = client.post("/api/analyze/anatomy_part", json=body | wrong)
            assert refused.status_code == 404
            assert "2 layers, 2 heads" in refused.json()["error"]
        assert client.get("/api/code/rotate").json()["place"]["file"] == "lab/model/layers.py"
        assert client.get("/api/code/..%2F..%2Fetc%2Fpasswd").status_code == 404
