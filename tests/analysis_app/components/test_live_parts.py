"""What the Live tab is made of: the line to the server, the run as the page knows it, what it says. In a browser."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

MODULES = """
  const part = (name) => import(new URL(`/components/live/${name}.js`, location));
  const { Connection } = await part("../lib/connection");
  const { RunData } = await part("run_data");
  const words = await part("describe");
"""


def run(page: Any, script: str, given: Any = None) -> Any:
    """The value of a piece of JavaScript that has the tab's modules at hand."""
    return page.evaluate(f"async (given) => {{ {MODULES} {script} }}", given)


# ---------------------------------------------------------------- the line to the server

LINE = """
  const sockets = [], said = [], waiting = [];
  class Socket {
    constructor(url) { this.url = new URL(url); this.asked = []; sockets.push(this); }
    close() { this.onclose?.(); }
    send(text) { this.asked.push(JSON.parse(text)); }
    say(message) { this.onmessage({ data: JSON.stringify(message) }); }
  }
  const clock = {
    setTimeout: (fn, ms) => { waiting.push({ fn, ms }); return waiting.length; },
    clearTimeout: (id) => { if (waiting[id - 1]) waiting[id - 1].fn = null; },
  };
  const due = (ms) => waiting.filter((w) => w.fn && w.ms <= ms);
  const pass = (ms) => { for (const w of due(ms)) { const { fn } = w; w.fn = null; fn(); } };
  const line = new Connection((message) => said.push(message.type), (open) => said.push(open), { Socket, clock });
  line.follow("a run", "");
  line.follow("its state", null);
"""


def test_a_broken_line_goes_on_from_the_last_message_taken_in(bare_page: Any) -> None:
    found = run(
        bare_page,
        LINE
        + """
        const first = sockets[0];
        first.say({ type: "runs" });
        first.say({ type: "hello", run: "a run", cursor: "c0" });
        first.say({ type: "hello", run: "its state", cursor: "s0" });
        first.say({ type: "metrics", run: "a run", cursor: "c1" });
        first.say({ type: "metrics", run: "one that was left", cursor: "o1" });
        first.onclose();
        pass(5000);
        sockets[1].onclose();         // the server is still away
        pass(5000);
        sockets[2].say({ type: "runs" });
        first.onmessage?.({ data: JSON.stringify({ type: "metrics", run: "a run", cursor: "old" }) });   // too late
        line.leave("a run");
        return { asked: sockets.map((s) => s.asked), said, path: first.url.pathname, protocol: first.url.protocol };
        """,
    )
    assert found["asked"] == [
        [{"follow": {"a run": "", "its state": None}}],
        [],
        [{"follow": {"a run": "c1", "its state": None}}, {"leave": ["a run"]}],
    ]
    assert found["path"] == "/ws"
    assert found["protocol"] == "ws:"
    assert found["said"] == [True, "runs", "hello", "hello", "metrics", False, False, True, "runs"]


def test_silence_ends_a_line_and_a_refusal_starts_from_the_beginning(bare_page: Any) -> None:
    found = run(
        bare_page,
        LINE
        + """
        sockets[0].say({ type: "hello", run: "a run", cursor: "c7" });
        pass(12000);              // nothing more is heard: the watch lets it go, and the next attempt follows
        pass(5000);
        sockets[1].say({ type: "runs" });
        sockets[1].say({ type: "error", run: "a run", reason: "cursor: not one that was given out here" });
        sockets[1].onclose();
        pass(5000);
        sockets[2].say({ type: "runs" });
        return sockets.map((s) => s.asked[0].follow["a run"]);
        """,
    )
    assert found == ["", "c7", ""]


# ---------------------------------------------------------------- the run as the page knows it


def test_rows_are_merged_by_step_and_a_loss_that_is_no_number_is_a_gap(bare_page: Any) -> None:
    found = run(
        bare_page,
        """
        const h = new RunData();
        h.metrics({ columns: { step: [0, 1, 2], tokens: [0, 8, 16], time: [0, 1, 2], "train/loss": [7, 6, 5],
          "train/lr": [0.1, 0.1, 0.1], "val/loss": [null, null, null] } });
        h.metrics({ columns: { step: [2], tokens: [16], time: [2], "val/loss": [5.5], "train/loss": [null] } });
        const before = { loss: h.get("train/loss").last(), val: h.get("val/loss").last(), n: h.get("val/loss").n };
        h.metrics({ columns: { step: [3, 4], tokens: [24, 32], time: [3, 4], "train/loss": [null, null],
          "train/lr": [0.1, 0.1], "other/metric": [1, 2] } });
        const lost = h.lostAt;
        h.rewind({ step: 2 });
        return { before, lost, last: h.latest("train/loss"), back: h.lostAt, place: h.place(1),
          other: h.series["other/metric"] ?? null };
        """,
    )
    assert found["before"] == {"loss": {"step": 2, "value": 5}, "val": {"step": 2, "value": 5.5}, "n": 1}
    assert found["lost"] == 3
    assert found["last"] == {"step": 2, "value": 5}
    assert found["back"] is None
    assert found["place"] == {"step": 1, "tokens": 8, "time": 1}
    assert found["other"] is None


def test_what_was_written_on_the_way_not_taken_counts_no_more(bare_page: Any) -> None:
    found = run(
        bare_page,
        """
        const h = new RunData();
        const at = (step, wall) => ({ step, wall, text: "" });
        h.add({ samples: [at(0, 1), at(16, 2), at(256, 3), at(32, 9)] });
        const before = h.standing(h.samples).length;
        h.add({ events: [{ kind: "rewound", step: 16, rewound_from: 262, wall: 5 }] });
        return { before, after: h.standing(h.samples).map((s) => s.step) };
        """,
    )
    assert found == {"before": 4, "after": [0, 16, 32]}


def test_a_metric_of_each_layer_becomes_one_curve(bare_page: Any) -> None:
    found = run(
        bare_page,
        """
        const h = new RunData();
        h.metrics({ columns: { step: [0, 5], "stats/update_ratio.layer0": [0.5, null],
          "stats/update_ratio.layer1": [1.5, 0.25] } });
        return [...h.get("stats/update_ratio").y];
        """,
    )
    assert found == [1.0, 0.25]


# ---------------------------------------------------------------- what is said

STATUS = {"state": "running", "active": True, "step": 50, "total_steps": 200, "eta_seconds": 95.0, "checkpoint": None}


def said(page: Any, name: str, *given: Any) -> Any:
    return run(page, f"return words.{name}(...given)", list(given))


@pytest.mark.parametrize(
    ("state", "more", "took", "left"),
    [
        ("running", {"elapsed_seconds": 61.2}, "trained 1 min 1 s", "about 1 min 40 s left"),
        ("running", {"elapsed_seconds": 5.0, "eta_seconds": None}, "trained 5 s", "time left not known yet"),
        ("paused", {"elapsed_seconds": 5.0}, "trained 5 s", "about 1 min 40 s of training left once it goes on"),
        ("stale", {"elapsed_seconds": 5.0}, "trained 5 s", ""),
        ("completed", {"elapsed_seconds": 7322.0, "eta_seconds": 0.0}, "trained 2 h 2 min", ""),
        ("starting", {}, "", ""),
    ],
)
def test_the_time_left_is_honest(bare_page: Any, state: str, more: dict[str, Any], took: str, left: str) -> None:
    assert said(bare_page, "timesOf", {**STATUS, "state": state, **more}) == [took, left]


def test_a_long_time_left_is_rounded_and_has_an_hour(bare_page: Any) -> None:
    _, left = said(bare_page, "timesOf", {**STATUS, "elapsed_seconds": 1.0, "eta_seconds": 12_345})
    assert left.startswith("about 3 h 30 min left, until ")


def test_every_state_has_a_word_and_a_colour(bare_page: Any) -> None:
    states = ["starting", "running", "paused", "stopped", "completed", "failed", "stale", "broken"]
    found = {s: said(bare_page, "stateOf", {"state": s, "active": s in states[:3]}) for s in states}
    assert found["stale"] == {"word": "no word from the trainer", "tone": "amber"}
    assert [found[s]["tone"] for s in ("failed", "running", "paused")] == ["bad", "good", "amber"]
    assert said(bare_page, "stateOf", STATUS, {"stopping": True})["word"] == "stopping…"
    assert said(bare_page, "stateOf", STATUS, {"lost": True}) == {"word": "running", "tone": "bad"}


def test_a_dead_trainer_is_told_with_what_is_left_of_it(bare_page: Any) -> None:
    command = "python -m lab fit --resume mine"
    dead = {**STATUS, "state": "stale", "active": False, "reason": "its process 7 is gone", "since": 1.7e9}
    kept = {"checkpoint": {"step": 1000, "wall": 1.7e9, "kind": "regular"}, "resume": command}
    found = said(bare_page, "troubleOf", dead | kept, None)
    assert found["tone"] == "amber"
    assert found["title"].startswith("No word from the trainer since ")
    assert "Its process 7 is gone. Last checkpoint: step 1,000" in found["text"]
    assert found["resume"] == command
    assert "no checkpoint" in said(bare_page, "troubleOf", dead | {"resume": None}, None)["text"]
    nan = said(bare_page, "troubleOf", STATUS, 120)
    assert (nan["tone"], nan["title"]) == ("bad", "The loss is no number since step 120.")
    assert said(bare_page, "troubleOf", STATUS, None) is None
    clock = said(bare_page, "troubleOf", STATUS | {"reason": "host a's clock is about 2 h ahead"}, None)
    assert (clock["tone"], clock["title"]) == ("quiet", "Host a's clock is about 2 h ahead.")


def test_answers_events_and_markers_in_words(bare_page: Any) -> None:
    answers = [
        {"kind": "command_answered", "command": "pause", "step": 1240},
        {"kind": "command_answered", "command": "lr", "step": 7, "args": {"value": 0.5}},
        {"kind": "command_refused", "command": "resume", "reason": "it is not paused"},
    ]
    assert [said(bare_page, "answerOf", event) for event in answers] == [
        "Paused at step 1,240.",
        "Learning rate × 0.5 at step 7.",
        "Refused: It is not paused.",
    ]
    events = [
        {"kind": "checkpoint", "step": 3, "wall": 0},
        {"kind": "finding", "step": 9, "since": 4, "what": "a spike", "wall": 0},
        {"kind": "started", "step": 0, "wall": 0},
        {"kind": "sample", "step": None, "wall": 0},
    ]
    markers = run(
        bare_page, "return words.markersOf(given, (step) => ({ step, tokens: 8 * step, time: step }))", events
    )
    assert [(m["kind"], m["step"], m["tokens"]) for m in markers] == [("checkpoint", 3, 24), ("finding", 4, 32)]
    assert said(bare_page, "happened", {"kind": "something_new"}) == "something new"
