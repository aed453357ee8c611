"""The selection and its address."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from analysis_app.page.selection import Selection, clamp, from_query
from analysis_app.page.tabs import TABS

NUMBERS = st.integers(0, 10**17)
SELECTIONS = st.builds(
    Selection,
    run=st.none() | st.text(min_size=1),
    step=st.none() | NUMBERS,
    compare=st.none() | st.text(min_size=1),
    text=st.none() | st.text(min_size=1, max_size=100),
    layer=NUMBERS,
    head=NUMBERS,
    token=st.none() | NUMBERS,
    tab=st.sampled_from(list(TABS)),
)


@given(SELECTIONS)
def test_an_address_gives_the_selection_back(selection: Selection) -> None:
    query = {name: str(value) for name, value in asdict(selection).items() if value is not None}
    assert from_query(query) == (selection, [])


@given(st.dictionaries(st.sampled_from([*Selection.__dataclass_fields__, "other"]), st.text()))
def test_no_address_makes_it_fail(query: dict[str, str]) -> None:
    selection, notes = from_query(query)
    assert selection.tab in TABS
    assert selection.layer >= 0
    assert all(notes)


def test_what_cannot_be_is_said_and_replaced() -> None:
    selection, notes = from_query({"step": "-1", "layer": "two", "tab": "nowhere", "run": "tiny"})
    assert selection == Selection(run="tiny")
    assert len(notes) == 3
    assert clamp(Selection(layer=7, head=9), 2, 4) == (
        Selection(layer=1, head=3),
        ["this model has no layer 7: showing layer 1, its last", "this model has no head 9: showing head 3, its last"],
    )


def test_an_empty_address_is_the_default_view() -> None:
    assert from_query({}) == (Selection(), [])
