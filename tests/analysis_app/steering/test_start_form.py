"""The settings that a run can be started with from the page."""

from __future__ import annotations

from pathlib import Path

from analysis_app.steering import start_form


def test_every_configuration_can_be_named() -> None:
    for name, path in start_form.configurations().items():
        words = start_form.arguments(name, {"steps": 5, "horizon.minutes": None})
        assert str(path) in words
        assert all(Path(w).is_file() for w in words if w.endswith(".yaml") and not w.startswith("--"))
    words = 'it\'s "so" — #x: y'
    flags = start_form.arguments("quickstart", {"note": words, "horizon.steps": 7})
    assert flags[-2] == f"--run.note={words}"
    assert start_form.shape_of(start_form.content_of("quickstart", {"note": words}))["n_layers"] == 4
    assert flags[-1] == "--horizon.steps=7"
