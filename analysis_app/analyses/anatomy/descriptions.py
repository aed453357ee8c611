"""What each part of a transformer does, written for a first reading and true for the switches of the model at hand.

What differs between models is a function of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.data.tokenizers import Tokenizer
from lab.model import GPTConfig
from lab.model.count import count_parts


@dataclass(frozen=True)
class Description:
    """A part described: `gist` in one line, `words` in a paragraph, `formula` where there is one."""

    title: str
    gist: str
    words: str
    formula: str = ""


def of_text(text: str) -> Description:
    """The text as typed."""
    return Description(
        "Text",
        f"{len(text):,} characters, as you typed them.",
        "Everything starts as plain text. A network computes with numbers, so the text is first split into pieces from "
        "a fixed list, the vocabulary. Change the text at the left, and every number below changes with it.",
    )


def of_tokens(tokenizer: Tokenizer, n_tokens: int, config: GPTConfig) -> Description:
    """How the text is split."""
    size, context = f"{config.vocab_size:,}", f"{config.context_length:,}"
    pairs = (
        "Byte-pair encoding begins with single bytes and merges, over and over, the pair of neighbours that is most "
        "frequent in a training text (Sennrich et al. 2016). Frequent words end up as one token, rare ones as several. "
        "A space belongs to the word after it: that is why so many tokens begin with a dot (·)."
    )
    how = {
        "char": f"Here every character is a token of its own. A vocabulary of {size} keeps the model small, but it has "
        f"to learn spelling before it can learn words, and its context of {context} tokens is only as many characters "
        "long.",
        "bytes": f"Here every byte of the text, written in UTF-8, is a token. {size} ids are enough for every text "
        "there is; the price is that texts become long, and letters beyond English take two to four tokens each.",
        "bpe": pairs,
        "huggingface": pairs,
    }.get(tokenizer.kind, f"The tokenizer is of the kind {tokenizer.kind}.")
    return Description(
        "Tokens",
        f"{n_tokens:,} pieces, each a number out of {size}.",
        f"{how} The numbers are names and nothing else: token 17 is no nearer to 18 than to 400. One text makes a "
        "batch of one row, hence [batch, pos].",
    )


def of_embedding(config: GPTConfig) -> Description:
    """The look-up of each token's vector."""
    width, rows = f"{config.d_model:,}", config.padded_vocab_size
    tied = (
        "The same table is used again at the very end to score the next token (tied embeddings), and is counted here."
        if config.tie_embeddings
        else "Another table of that size, with numbers of its own, scores the next token at the very end."
    )
    order = {
        "learned": "",
        "rope": " Positions enter later, inside attention, by rotating queries and keys.",
        "none": " This model has no position information but the mask: each position sees none after it.",
    }.get(config.positions, f" Positions are given as {config.positions}.")
    padding = (
        f" ({rows - config.vocab_size} of the rows are padding that no token uses.)" if rows > config.vocab_size else ""
    )
    return Description(
        "Token embedding",
        f"Each number picks its row of a table: a vector of {width} learned numbers.",
        f"A table of {rows:,} rows, one for each token.{padding} Nothing is computed: the row is looked up. Training "
        "moves tokens that are used alike to similar places, and directions come to mean something. From here to the "
        f"end every position carries one vector of {width} numbers, the residual stream; all parts below read it and "
        f"add to it. {tied}{order}",
        "x[t] = E[token[t]]",
    )


def of_positions(config: GPTConfig) -> Description:
    """The learned position embedding."""
    return Description(
        "Positions",
        "Each place in the text has a vector of its own.",
        "Attention by itself does not see the order of the tokens before. So a second table has one learned "
        f"vector for each of the {config.context_length:,} positions, and the one of position t is added to whatever "
        "token stands there (Radford et al. 2019). It is the same for every text. The table ends where the context "
        "ends: a longer text cannot be read.",
        "x[t] = E[token[t]] + P[t]",
    )


START = Description(
    "Sum",
    "The residual stream begins: token + position.",
    "What the token is and where it stands are added, number by number. They can share one vector because in many "
    "dimensions there are far more nearly independent directions than a text needs.",
    "x = token + position",
)


def of_norm(config: GPTConfig, reader: str) -> Description:
    """A norm before `reader` (pre-norm), or over the stream after it (post-norm)."""
    if config.norm == "rmsnorm":
        title, formula = "RMSNorm", "x / √(mean(x²) + ε) · gain"
        how = (
            "Each position's vector is divided by its root mean square, the root of the mean of its squared numbers, "
            "so that these come out at a size of about 1 (Zhang and Sennrich 2019). Its direction stays, only its "
            f"length is lost. Then each of the {config.d_model:,} numbers is multiplied by a learned gain."
        )
    else:
        shift = " + shift" if config.bias else ""
        title, formula = "LayerNorm", f"(x − mean(x)) / √(variance(x) + ε) · gain{shift}"
        how = (
            "From each position's vector its mean is taken away, and the rest is divided by its standard deviation: "
            f"the {config.d_model:,} numbers then have mean 0 and variance 1 (Ba et al. 2016). Then each is multiplied "
            f"by a learned gain{' and moved by a learned shift' if config.bias else ''}."
        )
    if config.norm_position == "pre":
        gist = f"A copy of the stream at one size, for {reader} to read."
        where = (
            f"It is a copy that is normalised: {reader} reads it, while the stream itself passes by untouched "
            "(pre-norm). The stream grows from block to block; the norm keeps what the weights read at one size, and "
            "the gradient still passes unchanged from the last block to the first."
        )
    else:
        gist = f"The stream itself, set to one size after {reader}."
        where = (
            "Here the stream itself is normalised after each sum (post-norm, Vaswani et al. 2017), so its length is "
            "reset after every part, and the gradient has to pass through each of these norms. Deep models of this "
            "kind are harder to train."
        )
    return Description(title, gist, f"{how} {where}", formula)


def of_attention(config: GPTConfig) -> Description:
    """Attention with all its heads."""
    heads, kv, width = config.n_heads, config.kv_heads, config.d_head
    shared = heads // kv
    extras = ""
    if shared > 1:
        who = "all heads share one set" if kv == 1 else f"{kv} sets serve {heads} heads, {shared} each"
        name = "multi-query attention, Shazeer 2019" if kv == 1 else "grouped-query attention, Ainslie et al. 2023"
        extras += (
            f" Keys and values are shared here: {who} ({name}), so that the cache while generating is {shared} times "
            "smaller."
        )
    if config.qk_norm:
        extras += (
            " Before they are compared, each query and each key is brought to a root mean square of 1 and multiplied "
            "by a learned gain (QK-norm, Henry et al. 2020), which keeps the scores bounded."
        )
    if config.positions == "rope":
        extras += (
            " Queries and keys are rotated by an angle that grows with their position (rotary positions, Su et al. "
            "2021): the score of two then depends on their distance, not on where they stand."
        )
    return Description(
        "Attention",
        f"{heads} heads, each gathering from the tokens so far.",
        "The only part that moves information from one position to another. Each head makes three vectors of "
        f"{width} numbers out of what it reads at a position: a query (what it looks for), a key (what it offers) "
        "and a value (what it passes on). A query is compared with the keys of its own and all earlier "
        "positions; softmax turns the scores into weights that sum to 1, and the head's result is the average of the "
        f"values under these weights.{extras} The results of all heads, side by side, go through one more matrix, and "
        "that is what is added to the stream (Vaswani et al. 2017).",
        f"softmax(q·kᵀ / √{width} + mask) · v, then · W_out",
    )


def of_sum(config: GPTConfig, part: str) -> Description:
    """The addition after `part`."""
    after = "" if config.norm_position == "pre" else " The norm below then resets its length."
    return Description(
        "Add",
        f"The stream, plus the output of {part}.",
        f"The output of {part} is added to the stream, number by number. Nothing is replaced: what earlier parts wrote "
        "is still there for later parts to read, and in training the gradient flows back the same way "
        f"undiminished (residual connections, He et al. 2016).{after} Compare the lengths: a short vector added to a "
        "long one hardly changes its direction.",
        f"x = x + {'attention' if part == 'attention' else 'MLP'}(x)",
    )


def of_mlp(config: GPTConfig) -> Description:
    """The feed-forward network."""
    width, one = f"{config.mlp_width:,}", count_parts(config)
    share = one["mlp"] / (one["mlp"] + one["attention"])
    kinds = {
        "gelu": (
            "GELU, x·Φ(x), lets large numbers through, holds back negative ones, and bends smoothly in between "
            "(Hendrycks and Gimpel 2016).",
            "gelu(x·W_up) · W_down",
        ),
        "gelu_tanh": (
            "GELU lets large numbers through, holds back negative ones, and bends smoothly in between (Hendrycks and "
            "Gimpel 2016), here in the approximation by tanh that GPT-2 was trained with.",
            "gelu(x·W_up) · W_down",
        ),
        "relu2": (
            "Squared ReLU sets negative numbers to exactly 0 and squares the others (So et al. 2021): a unit is either "
            "off, or the more it is on the more it counts.",
            "relu(x·W_up)² · W_down",
        ),
        "relu": (
            "ReLU sets negative numbers to exactly 0 and lets the others through (Vaswani et al. 2017): a unit is off, "
            "or on as far as its sum says.",
            "relu(x·W_up) · W_down",
        ),
        "swiglu": (
            "SwiGLU gives each unit a gate (Shazeer 2020): a third matrix computes a second number for it, and "
            "silu(gate) = gate·sigmoid(gate) says how much of the first one passes.",
            "(silu(x·W_gate) · (x·W_up)) · W_down",
        ),
    }
    how, formula = kinds.get(config.mlp, (f"The activation function is {config.mlp}.", ""))
    return Description(
        "MLP",
        f"{width} units, working on each position alone.",
        "Nothing moves between positions here. At each one, a first matrix turns the "
        f"vector into {width} units, an activation function decides how far each is on, and a second matrix turns that "
        f"into a vector for the stream. {how} One way to see it: every unit looks for one pattern in the stream, and "
        "where it finds it, writes a vector of its own (Geva et al. 2021). "
        f"{100 * share:.0f} % of a block's weights are here.",
        formula,
    )


def of_final_norm(config: GPTConfig) -> Description:
    """The last norm."""
    norm = of_norm(config, "the head")
    return replace(norm, title=f"Final {norm.title}")


def of_logits(config: GPTConfig) -> Description:
    """The head."""
    whose = (
        "These vectors are the rows of the token embedding (tied, Press and Wolf 2017), so nothing is counted here."
        if config.tie_embeddings
        else "These vectors are a table of their own, apart from the embedding."
    )
    cap, formula = config.logit_softcap, "x · Eᵀ" if config.tie_embeddings else "x · W"
    capped = ""
    if cap is not None:
        formula = f"{cap:g} · tanh({formula} / {cap:g})"
        capped = f" A tanh bounds the scores to ({-cap:g}, {cap:g}) (Gemma 2, 2024)."
    return Description(
        "Logits",
        f"A score for each of the {config.vocab_size:,} tokens that could come next.",
        "The vector at a position is compared with one vector for each token: the dot product is that token's score, "
        f"its logit. {whose}{capped} Every position predicts what follows it, all at once. Training learns from all of "
        "them; when the model writes, only the last one counts.",
        formula,
    )


PROBABILITIES = Description(
    "Probabilities",
    "How likely each token is to come next.",
    "Softmax: e to the power of each logit, divided by the sum of all. Only differences count, and a lead of 1 "
    "makes a token e ≈ 2.7 times as likely. The loss at a position is −ln of the probability of the token that "
    "really came: a uniform guess costs ln(vocabulary size), certainty costs 0. To write, a token is "
    "drawn from these probabilities and appended, and everything above runs once more.",
    "p = exp(logit) / Σ exp(logits)",
)
