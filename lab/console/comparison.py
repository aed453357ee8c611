"""A comparison of runs in the terminal."""

from __future__ import annotations

from typing import Any

from lab.console.format import console as make_console
from lab.console.format import table
from lab.runs.comparison import UNITS
from lab.visible import visible


def show(result: dict[str, Any]) -> None:
    """Groups, settings that differ, the losses, the answer."""
    from rich.text import Text

    console = make_console(piped_width=110)
    where = UNITS[result["axis"]].format(result["at"]) if result["at"] is not None else "no common point"
    console.print(Text.assemble((visible(result["metric"]), "bold"), f" at {where}"))
    rows = table("", "run", "seed", "value", "mean ± spread", right=("seed", "value", "mean ± spread"))
    for group in result["groups"]:
        for i, (run, told) in enumerate(group["runs"].items()):
            first = i == 0
            seeds = dict.fromkeys(str(s) for s in told["seeds"].values() if s is not None)
            rows.add_row(
                Text(group["name"], style="bold") if first else "", Text(visible(run)), "/".join(seeds) or "n/a",
                _number(told["value"]), _mean(group) if first else "",
            )  # fmt: skip
    console.print(rows)
    if result["settings"]:
        console.print(Text("\nSettings that differ", style="bold"))
        console.print(_settings_table(result))
    console.print(Text("\nIs the difference real?", style="bold"))
    if not result["differences"]:
        console.print("One configuration under several seeds: the spread above is what luck does to it.")
    for difference in result["differences"]:
        style = "green" if difference["real"] else ""
        console.print(
            Text(visible(f"{difference['first']} → {difference['second']}  {difference['sentence']}"), style=style)
        )
    for same in result["same_batches"]:
        console.print(Text(visible(same_batches_sentence(same))))
    for note in result["notes"]:
        console.print(Text(visible(note), style="dim"))


def same_batches_sentence(same: dict[str, Any]) -> str:
    """What a difference on the same batches means, and what it does not."""
    first, second = same["groups"]
    way = "lower" if same["mean"] < 0 else "higher"
    interval = "" if same["low"] is None else f" (95 % interval {same['low']:+.3g} to {same['high']:+.3g})"
    return (
        f"{first} → {second}  On the same batches, steps {same['from']:,} to {same['to']:,}: the training loss of"
        f" {same['second']} is {abs(same['mean']):.4g} {way} than that of {same['first']}{interval}. That is about"
        " these two runs; other seeds may end otherwise."
    )


def _settings_table(result: dict[str, Any]) -> Any:
    names = [group["name"] for group in result["groups"]]
    rows = table("setting", *names)
    for setting, values in result["settings"].items():
        rows.add_row(visible(setting), *(visible(_value(values[n])) if n in values else "–" for n in names))
    return rows


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)[:200]


def _mean(group: dict[str, Any]) -> str:
    if group["mean"] is None:
        return "n/a"
    return _number(group["mean"]) if group["spread"] is None else f"{group['mean']:.4f} ± {group['spread']:.2g}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
