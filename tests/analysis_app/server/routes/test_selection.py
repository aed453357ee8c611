"""The route that resolves an address of the page."""

from __future__ import annotations

import httpx

from tests.analysis_app.conftest import MARKUP, STEPS

TEXT = "the cat sat"


def test_a_link_out_of_date_is_mended_and_said(client: httpx.Client) -> None:
    found = client.get("/api/selection", params={"run": "tiny", "step": 999, "layer": 9}).json()
    assert (found["selection"]["step"], found["selection"]["layer"]) == (STEPS, 1)
    assert len(found["notes"]) == 2
    assert client.get("/api/selection", params={"run": "gone"}).json()["selection"]["run"] == "tiny"
    assert client.get("/api/selection", params={"run": MARKUP}).json()["problem"]
