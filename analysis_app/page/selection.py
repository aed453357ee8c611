"""The one selection that all tabs read, from the page's address.

    ?run=quickstart&step=512&text=Once+upon&layer=2&head=5&tab=attention

An address may be out of date, so reading it never fails: what cannot be is replaced by the default, with a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from analysis_app.analyses.text import MAX_TEXT
from analysis_app.page.tabs import DEFAULT_TAB, TABS

_NUMBERS = ("step", "layer", "head", "token")


@dataclass(frozen=True)
class Selection:
    """What the page looks at.

    Args:
        run: Its name; None: the newest.
        step: Of the snapshot or checkpoint; None: the newest weights.
        compare: A second set of weights as `run@step`; None: nothing is compared.
        text: What the model reads; None: the beginning of the run's own validation text.
        layer, head: From 0.
        token: Position of the locked token, from 0; None: none is.
        part: Of the anatomy, the one that is open, such as `attn`; None: all are closed.
        tab: One of `TABS`.
    """

    run: str | None = None
    step: int | None = None
    compare: str | None = None
    text: str | None = None
    layer: int = 0
    head: int = 0
    token: int | None = None
    part: str | None = None
    tab: str = DEFAULT_TAB


def from_query(query: Mapping[str, str]) -> tuple[Selection, list[str]]:
    """The selection in an address, and a sentence for everything in it that could not be used."""
    notes: list[str] = []
    values: dict[str, Any] = {}
    for name in (f.name for f in fields(Selection)):
        given = query.get(name)
        if given is None or given == "":
            continue
        if name in _NUMBERS:
            # ASCII digits alone, and no more than a step can have.
            if not (given.isascii() and given.isdecimal() and len(given) <= 18):
                notes.append(f"{name}={given[:40]} in the address is not a whole number from 0: left out")
                continue
            values[name] = int(given)
        else:
            values[name] = given
    if values.get("tab", DEFAULT_TAB) not in TABS:
        notes.append(f"there is no tab {values.pop('tab')[:40]!r}; there are {', '.join(TABS)}")
    if len(values.get("text", "")) > MAX_TEXT:
        notes.append(f"the text in the address has {len(values.pop('text')):,} characters, at most {MAX_TEXT:,} fit")
    return Selection(**values), notes


def clamp(selection: Selection, n_layers: int, n_heads: int) -> tuple[Selection, list[str]]:
    """The selection with a layer and a head that the model has."""
    notes = []
    if selection.layer >= n_layers:
        notes.append(f"this model has no layer {selection.layer}: showing layer {n_layers - 1}, its last")
        selection = replace(selection, layer=n_layers - 1)
    if selection.head >= n_heads:
        notes.append(f"this model has no head {selection.head}: showing head {n_heads - 1}, its last")
        selection = replace(selection, head=n_heads - 1)
    return selection, notes
