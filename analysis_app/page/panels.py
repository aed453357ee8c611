"""The panels of the page: each is a function that makes one, and a JavaScript module of the same name beside this
file. `lib/` is what the modules share: the selection, the server, states, colours, canvases.
"""

from __future__ import annotations

import gradio as gr

from analysis_app.page.panel import panel


def header() -> gr.HTML:
    """The run's name, its state, and how far it is."""
    return panel("header")


def selection_panel() -> gr.HTML:
    """The one selection: run, snapshot, comparison, text, layer, head."""
    return panel("selection_panel")


def token_strip() -> gr.HTML:
    """The tokens of the text; a click pins one."""
    return panel("token_strip")


def live() -> gr.HTML:
    """A run as it trains: its state, curves, numbers, samples and events, and the means to steer it."""
    return panel("live")


def checkpoint_table() -> gr.HTML:
    """Every checkpoint and snapshot of the run, from the facts beside them."""
    return panel(
        "checkpoint_table",
        "Checkpoints and snapshots",
        "Losses in nats per token. Click a row to look at those weights everywhere; “as B” compares with them.",
    )


def head_grid() -> gr.HTML:
    """All heads of all layers as small pictures, framed by a metric."""
    return panel(
        "head_grid",
        "All heads",
        "Point to preview, click to lock, Esc unlocks, double-click enlarges, arrow keys move.",
    )


def heatmap() -> gr.HTML:
    """The pattern of the chosen head."""
    return panel("heatmap", "One head", "Each row shows from which earlier tokens that token reads.")


def row_steps() -> gr.HTML:
    """One row of it: scores, mask, softmax."""
    return panel(
        "row_steps", "How this row came to be", "From dot products to the weights of an average, step by step."
    )


def loss_text() -> gr.HTML:
    """The text, coloured by how surprised the model was."""
    return panel(
        "loss_text",
        "How surprised it was",
        "The stronger the colour, the less it was expected. Click a token to pin it.",
    )


def next_bars() -> gr.HTML:
    """The likeliest next tokens, reshaped by temperature, top-k and top-p."""
    return panel(
        "next_bars", "What comes next", "Move the sliders: the bars follow at once, the model is not asked again."
    )


def attribution_bars() -> gr.HTML:
    """What each part adds to the logit of the next token."""
    return panel(
        "attribution_bars",
        "Which part said so",
        "What each head and MLP added to the logit of the first guess, with the final norm held still.",
    )


def lens_grid() -> gr.HTML:
    """The logit lens: what every layer would predict at every position."""
    return panel("lens_grid", "Logit lens", "What the model would say if it stopped after each layer.")


def position_loss() -> gr.HTML:
    """The loss at each position of the context."""
    return panel(
        "position_loss",
        "Does context help?",
        "The loss by how many tokens were read before: it falls as far as they help.",
    )


def patching() -> gr.HTML:
    """Activations of one text put into another."""
    return panel(
        "patching",
        "Where is the difference?",
        "Activation patching: one activation of the first text, put into the second. Does its answer come back?",
    )


def residual_map() -> gr.HTML:
    """A quantity of the residual stream by layer and token."""
    return panel("residual_map", "The residual stream", "How long the vectors are, at every layer and token.")


def residual_bars() -> gr.HTML:
    """The same for the pinned token, layer by layer."""
    return panel("residual_bars", "One token, layer by layer", "What attention and MLP add to the stream.")


def histograms() -> gr.HTML:
    """Distributions of activations, with the share of dead units."""
    return panel("histograms", "Activations", "The same edges at every step, so that pictures compare.")


def neuron() -> gr.HTML:
    """One hidden unit on the text."""
    return panel("neuron", "One neuron", "A hidden unit of an MLP: how active it is at each token of the text.")


def neuron_examples() -> gr.HTML:
    """Where in the validation text it is most active."""
    return panel("neuron_examples", "What it looks for", "The strongest of many places show one end of what it does.")


def training_norms() -> gr.HTML:
    """Gradient and update norms of each layer over training."""
    return panel(
        "training_norms",
        "Every layer over training",
        "Click looks at the snapshot nearest to that step; the upright line is the selected one.",
    )


def embedding_map() -> gr.HTML:
    """The token embeddings as a map, and the neighbours of a token."""
    return panel(
        "embedding_map",
        "The vocabulary",
        "Token embeddings in two dimensions. What lies close is read alike by the model.",
    )


def sick_runs() -> gr.HTML:
    """Recorded runs that something is wrong with: what?"""
    return panel(
        "sick_runs",
        "Sick runs",
        "Each of these small runs has one thing wrong with it. Look at the curves, say what it is, and see what gave "
        "it away. Your first guesses are kept in the runs folder.",
    )


def writer() -> gr.HTML:
    """Text as the model writes it, A beside B."""
    return panel(
        "writer", "Let it write", "Plain tokens were expected, coloured ones surprised the model. Click one to branch."
    )


def anatomy() -> gr.HTML:
    """The model as its data flows, each part with its numbers, its explanation and its code."""
    return panel(
        "anatomy",
        "From text to the next token",
        "The way of your text through this model, from top to bottom. Open a part to see what it does, with its real "
        "numbers and the code that computes them. Click a column of a picture to follow that token.",
    )


def time_player() -> gr.HTML:
    """A slider over the run's snapshots, and play."""
    return panel(
        "time_player",
        "Through time",
        "The text stays, the model grows up. Drag, or play: by keyboard Space, arrows, Home and End.",
    )


def time_grid() -> gr.HTML:
    """All heads at the moment that the player shows."""
    return panel(
        "time_grid", "All heads, at this step", "The same colours at every step, so that what you see is learning."
    )


def time_map() -> gr.HTML:
    """The chosen head at that moment."""
    return panel("time_map", "One head, at this step", "Each row shows from which earlier tokens that token reads.")


def time_curves() -> gr.HTML:
    """Losses, head scores and the loss of every token over training, on one axis."""
    return panel(
        "time_curves",
        "Over the whole of training",
        "One axis, one cursor: the present step. Click anywhere to go there.",
    )


def experiments_runs() -> gr.HTML:
    """All runs, to be chosen from."""
    return panel("experiments_runs", "Runs", "Tick those that are to be laid over each other.")


def experiments_chart() -> gr.HTML:
    """One metric of the chosen runs."""
    return panel(
        "experiments_chart",
        "Side by side",
        "Drag to zoom, double-click to see all. A click on a curve shows the text that this step learned from.",
    )


def experiments_differences() -> gr.HTML:
    """The settings that set the chosen runs apart."""
    return panel(
        "experiments_differences", "What sets them apart", "Every setting that is not the same in all of them."
    )


def batch_text() -> gr.HTML:
    """The text of one batch."""
    return panel(
        "batch_text", "Show me batch N", "The very text of one step, coloured by how surprised a snapshot is by it."
    )
