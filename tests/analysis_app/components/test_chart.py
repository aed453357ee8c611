"""The line chart of the page and the curves behind it, tried where they run: in a browser."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytestmark = pytest.mark.browser

LIB = """
  const lib = (name) => import(new URL(`/components/lib/${name}.js`, location));
  const { Series, thin } = await lib("series");
  const { brief, duration, scale, ticks } = await lib("scale");
  const { lineChart, chartGroup } = await lib("chart");
  const drawn = async (...charts) => { for (const chart of charts) chart.draw(); };
"""


@pytest.fixture(scope="module")
def page(bare_page: Any) -> Any:
    return bare_page


def run(page: Any, script: str, given: Any = None) -> Any:
    """The value of a piece of JavaScript that has the page's modules at hand."""
    return page.evaluate(f"async (given) => {{ {LIB} {script} }}", given)


# ---------------------------------------------------------------- curves


def test_a_curve_grows_goes_back_and_keeps_the_later_value(page: Any) -> None:
    found = run(
        page,
        """
        const s = new Series();
        for (let i = 0; i <= 900; i++) s.push(i, 10 * i, i / 2, 100 - i);
        s.rewind(500);
        const cut = s.n;
        s.push(501, 5010, 250, 7);
        s.push(501, 5010, 250, 8);
        const again = [s.n, s.y[501], s.x("time")[501]];
        s.push(400, 4000, 200, 9);   // smaller than the last: training went back
        return { cut, again, n: s.n, last: s.last(), tokens: s.x("tokens")[400] };
        """,
    )
    assert found == {"cut": 501, "again": [502, 8, 250], "n": 401, "last": {"step": 400, "value": 9}, "tokens": 4000}


def test_smoothing_is_the_corrected_moving_average(page: Any) -> None:
    values = [5.0, 3.0, None, 4.0, 1.0, 2.5]
    found = run(
        page,
        """
        const s = new Series();
        const live = [];
        given.forEach((y, i) => { s.push(i, i, i, y ?? NaN); live.push(s.smoothed(0.8)[i]); });
        const whole = [...Series.from(given.map((_, i) => i), given.map((y) => y ?? NaN)).smoothed(0.8)];
        const plain = (values) => values.map((y) => (Number.isNaN(y) ? null : y));
        return { live: plain(live), whole: plain(whole) };
        """,
        values,
    )
    total = mass = 0.0
    expected: list[float | None] = []
    for value in values:
        if value is None:
            expected.append(None)
            continue
        total, mass = 0.8 * total + 0.2 * value, 0.8 * mass + 0.2
        expected.append(pytest.approx(total / mass, rel=1e-6))
    assert found["whole"] == expected
    assert found["live"] == found["whole"]


def test_a_long_curve_takes_bounded_room_and_keeps_every_spike(page: Any) -> None:
    found = run(
        page,
        """
        const s = new Series(4096), spikes = [17, 5000, 22222, 99998];
        for (let i = 0; i < 100000; i++) s.push(i, i, i, spikes.includes(i) ? 50 + spikes.indexOf(i) : i % 2);
        const tops = [...s.high].filter((y) => y >= 50);
        let rising = true;
        for (let i = 1; i < s.n; i++) rising &&= s.x("step")[i] > s.x("step")[i - 1];
        const smooth = s.smoothed(0.99);
        return { n: s.n, room: s.y.buffer.byteLength / 4, tops, rising, last: s.last().step, level: smooth[s.n >> 1] };
        """,
    )
    assert found["n"] <= 4096
    assert found["room"] == 4096
    assert found["tops"] == [50, 51, 52, 53]
    assert found["rising"]
    assert found["last"] == 99_999
    assert found["level"] == pytest.approx(0.5, abs=0.1)  # the average of what was joined, not of its extremes


def test_spikes_survive_the_way_to_pixels(page: Any) -> None:
    found = run(
        page,
        """
        const n = 100000, spikes = { 31415: 9, 27182: -4 };
        const y = Float32Array.from({ length: n }, (_, i) => spikes[i] ?? Math.sin(i));
        const x = Float64Array.from({ length: n }, (_, i) => i);
        const columns = thin(x, y, y, y, 0, n, (v) => v / n * 800);
        const gap = thin(x, Float32Array.of(1, 2, NaN, NaN, 3), y, y, 0, 5, (v) => 10 * v);
        const part = (values, k) => values.filter((_, i) => i % 5 === k).map((v) => (Number.isNaN(v) ? null : v));
        const [low, high] = [Math.min(...part(columns, 2)), Math.max(...part(columns, 3))];
        return { columns: columns.length / 5, low, high, gap: part(gap, 0) };
        """,
    )
    assert found == {"columns": 800, "low": -4, "high": 9, "gap": [0, 10, None, 40]}


# ---------------------------------------------------------------- words and axes


def test_numbers_and_times_as_a_person_says_them(page: Any) -> None:
    found = run(
        page,
        """return {
          brief: [0, 0.0006, 3.2149, 1240, 12400, 2.1e6, NaN].map((x) => brief(x)),
          duration: [0, 2.5, 59, 59.7, 90, 3600, 3725, 200000, NaN].map(duration),
        }""",
    )
    assert found["brief"] == ["0", "6e-4", "3.21", "1,240", "12.4k", "2.1M", "n/a"]
    assert found["duration"] == ["0 s", "2.5 s", "59 s", "1 min", "1 min 30 s", "1 h", "1 h 2 min", "2 d 7 h", "n/a"]


def test_axes_go_there_and_back_and_ticks_are_round(page: Any) -> None:
    found = run(
        page,
        """
        const log = scale(0, 5000, 50, 850, { log: true, shift: 1 }), loss = scale(1.5, 10.8, 200, 0, { log: true });
        return {
          back: [0, 1, 700, 5000].map((v) => log.invert(log(v))), ends: [log(0), log(5000)], log: ticks(log, 6),
          loss: ticks(loss, 5), plain: ticks(scale(0, 5000, 0, 800), 6), time: ticks(scale(0, 500, 0, 800), 6, true),
          narrow: ticks(scale(1.51, 1.68, 200, 0, { log: true }), 4),
        };
        """,
    )
    assert found["back"] == pytest.approx([0, 1, 700, 5000], abs=1e-6)
    assert found["ends"] == pytest.approx([50, 850])
    assert found["log"] == [0, 1, 10, 100, 1000]
    assert found["loss"] == [2, 5, 10]
    assert found["plain"] == [0, 1000, 2000, 3000, 4000, 5000]
    assert found["time"] == [0, 120, 240, 360, 480]
    assert found["narrow"] == pytest.approx([1.55, 1.6, 1.65])


# ---------------------------------------------------------------- the chart

CHART = """
  const place = document.getElementById("place");
  const train = new Series(), val = new Series(), rate = new Series(), together = chartGroup();
  for (let i = 0; i <= 1000; i++) {
    train.push(i, 64 * i, i / 10, 2 + 5 * Math.exp(-i / 150) + (i === 333 ? 6 : 0.1 * Math.sin(i)));
    rate.push(i, 64 * i, i / 10, 0.001);
    if (i % 100 === 0) val.push(i, 64 * i, i / 10, 2.2 + 5 * Math.exp(-i / 150));
  }
  const [a, b] = [0, 1].map(() => place.appendChild(document.createElement("div")));
  let picked = null, clicked = null;
  window.loss = lineChart(a, { label: "Loss", unit: "nats per token", group: together, height: 240,
    series: [{ name: "train", data: train, colour: "--lab-train", style: "smooth" },
      { name: "val", data: val, colour: "--lab-val", style: "dots" }], pick: (x) => { window.picked = x; },
    lines: [{ value: 4.1, label: "unigram 4.10" }], onMarker: (m) => { window.clicked = m.title; },
    markers: [{ step: 500, tokens: 32000, time: 50, kind: "checkpoint", title: "checkpoint" }] });
  window.small = lineChart(b, { label: "Learning rate", group: together, height: 120,
    series: [{ name: "", data: rate }] });
  Object.assign(window, { train, val, together });
  loss.draw(); small.draw();
"""


@pytest.fixture
def charts(page: Any) -> Any:
    """Two charts that share crosshair and zoom."""
    page.evaluate("document.getElementById('place').replaceChildren()")
    run(page, CHART)
    return page


def across(page: Any, step: float, name: str = "loss") -> tuple[float, float]:
    """The place on the screen of a step, in the middle of a chart."""
    x, middle = page.evaluate(f"[{name}.axes().across({step}), ({name}.axes().top + {name}.axes().bottom) / 2]")
    box = page.evaluate(f"{name}.root.querySelector('canvas').getBoundingClientRect().toJSON()")
    return box["x"] + x, box["y"] + middle


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def test_it_speaks_and_has_a_table(charts: Any) -> None:
    label = charts.get_attribute(".lab-chart canvas", "aria-label")
    assert "Loss by step, in nats per token: train 2" in label
    assert "val 2.21 at step 1,000" in label
    charts.get_by_role("button", name="table").first.click()
    rows = charts.locator(".lab-chart-table tbody tr")
    assert 50 <= rows.count() <= 60
    assert rows.first.locator("td").all_text_contents()[0] == "1,000"
    assert charts.locator(".lab-chart-area").first.is_hidden()
    charts.get_by_role("button", name="chart").first.click()
    assert charts.locator(".lab-chart-area").first.is_visible()


def test_drag_zooms_all_new_points_leave_it_and_a_double_click_ends_it(charts: Any) -> None:
    start, end = across(charts, 200), across(charts, 400)
    drag(charts, start, end)
    charts.wait_for_function(
        "Math.abs(small.axes().across.low - 200) < 3 && Math.abs(loss.axes().across.high - 400) < 3"
    )
    # The spike at 333 stands in the picture with its full height, and the far start of the curve does not.
    assert 8 < charts.evaluate("loss.axes().up.high") < 10
    charts.evaluate("train.push(1001, 64064, 100.1, 1.9); loss.draw()")
    assert charts.evaluate("loss.axes().across.high") == pytest.approx(400, abs=3)
    assert charts.get_by_role("button", name="show all").count() == 2
    charts.mouse.dblclick(*across(charts, 300))
    charts.wait_for_function("loss.axes().across.high === 1001 && small.axes().across.low === 0")


def test_a_box_zooms_both_ways(charts: Any) -> None:
    (x0, y), (x1, _) = across(charts, 100), across(charts, 900)
    drag(charts, (x0, y - 40), (x1, y + 40))
    charts.wait_for_function("loss.zoomY !== null")
    low, high = charts.evaluate("loss.zoomY")
    assert low < high < 8
    charts.evaluate("loss.reset()")


def test_the_crosshair_is_shared_and_tells_the_values_there(charts: Any) -> None:
    charts.mouse.move(*across(charts, 700))
    charts.wait_for_function("Math.abs(together.at - 700) < 2")
    assert "0.001" in charts.text_content(".lab-chart:nth-child(1) >> nth=1")
    shown = float(charts.locator(".lab-chart-key b").nth(1).text_content())
    assert shown == pytest.approx(2.2 + 5 * math.exp(-700 / 150), abs=0.01)
    charts.focus(".lab-chart canvas")
    charts.keyboard.press("ArrowLeft")
    assert charts.evaluate("together.at") == pytest.approx(699, abs=1)
    charts.mouse.move(5, 690)
    charts.wait_for_function("together.at === null")


def test_a_click_picks_and_a_marker_is_told_and_clicked(charts: Any) -> None:
    x, y = across(charts, 250)
    charts.mouse.click(x, y)
    assert charts.evaluate("picked") == pytest.approx(250, abs=2)
    x, _ = across(charts, 500)
    bottom = charts.evaluate("loss.root.querySelector('canvas').getBoundingClientRect().y + loss.axes().bottom - 7")
    charts.mouse.move(x, bottom)
    charts.wait_for_function("document.getElementById('lab-tip')?.textContent.includes('checkpoint')")
    charts.mouse.click(x, bottom)
    assert charts.evaluate("clicked") == "checkpoint"


def test_other_axes_and_both_themes(charts: Any) -> None:
    ink = "loss.root.querySelector('canvas').toDataURL()"
    seen = set()
    for options in ("{}", "{ logY: true }", "{ logX: true }", "{ x: 'time' }", "{ x: 'tokens', logX: true }"):
        charts.evaluate(f"loss.set({options}); loss.draw()")
        seen.add(charts.evaluate(ink))
    charts.evaluate("document.body.classList.toggle('dark')")  # its colours are read anew once the script has ended
    charts.evaluate("loss.draw()")
    seen.add(charts.evaluate(ink))
    charts.evaluate("document.body.classList.toggle('dark')")
    assert len(seen) == 6
    assert charts.evaluate("loss.axes().across.high") == 64_000


def test_what_is_not_finite_ends_the_line_with_a_cross(charts: Any) -> None:
    charts.evaluate("for (let i = 1001; i < 1200; i++) train.push(i, 64 * i, i / 10, NaN); loss.draw()")
    assert charts.evaluate("train.last().step") == 1000
    assert charts.evaluate("loss.axes().across.high") == 1199
    red = """(() => {
      const c = loss.root.querySelector("canvas"), x = Math.round(loss.axes().across(1000)), w = 14;
      const d = c.getContext("2d").getImageData(x - w / 2, 0, w, c.height).data;
      let found = 0;
      for (let i = 0; i < d.length; i += 4) if (d[i] > 150 && d[i + 1] < 60 && d[i + 2] < 60 && d[i + 3] > 200) found++;
      return found;
    })()"""
    assert charts.evaluate(red) > 20
