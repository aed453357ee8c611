"""The panels of the page: each is a function that makes one, and a JavaScript module of the same name beside this
file. `lib/` is what the modules share: the selection, the server, states, colours, canvases.
"""

from __future__ import annotations

import gradio as gr

from analysis_app.panel import panel


def header() -> gr.HTML:
    return panel("header")


def selection_panel() -> gr.HTML:
    return panel("selection_panel")


def token_strip() -> gr.HTML:
    return panel("token_strip")


def checkpoint_table() -> gr.HTML:
    return panel(
        "checkpoint_table",
        "Checkpoints and snapshots",
        "Losses in nats per token. Click a row to look at those weights everywhere; “as B” compares with them.",
    )


def head_grid() -> gr.HTML:
    return panel(
        "head_grid",
        "All heads",
        "Point to preview, click to lock, Esc unlocks, double-click enlarges, arrow keys move.",
    )


def heatmap() -> gr.HTML:
    return panel("heatmap", "One head", "Each row shows from which earlier tokens that token reads.")


def row_steps() -> gr.HTML:
    return panel(
        "row_steps", "How this row came to be", "From dot products to the weights of an average, step by step."
    )


def loss_text() -> gr.HTML:
    return panel(
        "loss_text",
        "How surprised it was",
        "The stronger the colour, the less it was expected. Click a token to pin it.",
    )


def next_bars() -> gr.HTML:
    return panel(
        "next_bars", "What comes next", "Move the sliders: the bars follow at once, the model is not asked again."
    )


def attribution_bars() -> gr.HTML:
    return panel(
        "attribution_bars",
        "Which part said so",
        "What each head and MLP added to the logit of the first guess, with the final norm held still.",
    )


def lens_grid() -> gr.HTML:
    return panel("lens_grid", "Logit lens", "What the model would say if it stopped after each layer.")


def residual_map() -> gr.HTML:
    return panel("residual_map", "The residual stream", "How long the vectors are, at every layer and token.")


def residual_bars() -> gr.HTML:
    return panel("residual_bars", "One token, layer by layer", "What attention and MLP add to the stream.")


def histograms() -> gr.HTML:
    return panel("histograms", "Activations", "The same edges at every step, so that pictures compare.")


def writer() -> gr.HTML:
    return panel(
        "writer", "Let it write", "Plain tokens were expected, coloured ones surprised the model. Click one to branch."
    )
