"""Model and data: the network, its tokenizer, its text, and the code it was trained with."""

from __future__ import annotations

from typing import Any

from lab.checks import is_number
from lab.report.document import Block, Paragraph, Section, Table
from lab.report.formatting import day, number, percent, plural
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.runs.facts import dig, with_missing
from lab.units import UNKNOWN, byte_count, count

PARTS = {
    "positions": {"learned": "learned positions", "rope": "rotary positions", "none": "no positions"},
    "norm": {"layernorm": "LayerNorm", "rmsnorm": "RMSNorm"},
    "norm_position": {"pre": "before each branch", "post": "after each branch"},
    "mlp": {"gelu": "GELU", "gelu_tanh": "GELU (tanh)", "swiglu": "SwiGLU", "relu2": "squared ReLU", "relu": "ReLU"},
}


def model_and_data(record: RunRecord) -> Section:
    """Architecture, tokenizer, data, versions."""
    rows = [(name, text) for name, text in _rows(record) if text]
    blocks: list[Block] = [Table(("", ""), rows)] if rows else []
    return Section("Model and data", blocks + _baselines(record))


def _rows(record: RunRecord) -> list[tuple[str, str]]:
    return [
        ("network", _network(record)),
        ("its parts", _parts(record.model)),
        ("size", _size(record)),
        ("tokenizer", _tokenizer(record)),
        ("text", _text(record)),
        ("training", _seen(record)),
        ("started", _started(record)),
    ]


def _network(record: RunRecord) -> str:
    model = record.model
    shape = [model.get(name) for name in ("n_layers", "n_heads", "d_model", "context_length")]
    if not all(map(is_number, shape)):
        return ""
    n_layers, n_heads, d_model, context = (int(x) for x in shape if x is not None)
    groups = model.get("n_kv_heads")
    shared = f" ({groups} for keys and values)" if is_number(groups) and groups != n_heads else ""
    return (
        f"{plural(n_layers, 'layer')}, {plural(n_heads, 'head')}{shared} of {d_model // max(1, n_heads)},"
        f" {d_model} wide; context of {context} tokens"
    )


def _parts(model: dict[str, Any]) -> str:
    if not model:
        return ""
    named = {name: known.get(str(model.get(name)), str(model.get(name, UNKNOWN))) for name, known in PARTS.items()}
    parts = [named["positions"], f"{named['norm']} {named['norm_position']}", f"{named['mlp']} MLP"]
    parts += ["QK-norm"] if model.get("qk_norm") else []
    parts += ["tied head" if model.get("tie_embeddings") else "separate head"] if "tie_embeddings" in model else []
    parts += ["no biases"] if model.get("bias") is False else []
    parts += [f"dropout {model['dropout']:g}"] if is_number(model.get("dropout")) and model["dropout"] else []
    return ", ".join(parts)


def _size(record: RunRecord) -> str:
    total, model = record.parameters, record.model
    if total is None:
        return ""
    width, vocabulary = model.get("d_model"), model.get("vocab_size")
    if not is_number(width) or not is_number(vocabulary):
        return f"{total:,} parameters"
    times = 1 if model.get("tie_embeddings") else 2
    share = times * width * vocabulary / total
    return f"{total:,} parameters, {percent(share)} of them for the vocabulary"


def _tokenizer(record: RunRecord) -> str:
    found = record.data.get("tokenizer")
    if not isinstance(found, dict):
        return ""
    size = found.get("vocab_size", record.data.get("vocab_size"))
    density = record.data.get("bytes_per_token")
    dense = f", {number(density)} {'byte' if density == 1 else 'bytes'} per token" if is_number(density) else ""
    return f"{code(found.get('name', UNKNOWN))}: {plural(size, 'token') if isinstance(size, int) else UNKNOWN}{dense}"


def _text(record: RunRecord) -> str:
    corpus = record.data.get("corpus")
    if not isinstance(corpus, dict):
        return ""
    source = f" ({corpus['source']})" if isinstance(corpus.get("source"), str) else ""
    train, held_out = (dig(record.data, *path) for path in (("splits", "train", "tokens"), ("validation", "tokens")))
    amount = f"{count(train)} tokens to train on" if is_number(train) else "generated during training"
    windows = dig(record.data, "validation", "random_windows")
    held = f", validated on {count(held_out)} held out" if is_number(held_out) else ""
    held += f" in {count(windows)} random windows" if held and is_number(windows) else ""
    licence = f"; {corpus['licence']}" if isinstance(corpus.get("licence"), str) else ""
    return f"{code(corpus.get('name', UNKNOWN))}{source}: {amount}{held}{licence}"


def _seen(record: RunRecord) -> str:
    tokens = record.tokens
    if not tokens:
        return ""
    times, per_parameter = record.facts.epochs(record.steps), record.parameters
    parts = [f"{count(tokens)} tokens in {plural(record.steps, 'step')}"]
    if record.tokens_per_step:
        several = any(seam.tokens_per_step != record.tokens_per_step for seam in record.stretches)
        parts[0] += f", the last ones of {record.tokens_per_step:,}" if several else f" of {record.tokens_per_step:,}"
    if times is not None:
        parts.append(
            f"the training text {number(times, 2)} times" if times >= 1 else f"{percent(times)} of the training text"
        )
    if per_parameter:
        parts.append(f"{number(tokens / per_parameter, 2)} tokens per parameter")
    return ", ".join(parts)


def _started(record: RunRecord) -> str:
    status = record.status
    if status.created is None:
        return ""
    commit = str((status.git or {}).get("commit") or "")[:10]
    dirty = " with uncommitted changes" if (status.git or {}).get("dirty") else ""
    versions = ", ".join(
        f"{name} {status.versions[name]}" for name in ("torch", "lightning") if name in status.versions
    )
    parts = [day(status.created), f"commit {code(commit)}{dirty}" if commit else "", versions]
    return "; ".join(part for part in parts if part)


def _baselines(record: RunRecord) -> list[Block]:
    told = {"uniform": "guessing evenly", "unigram": "knowing how common each token is", "xz": "`xz -9` alone"}
    told |= {"bigram": "knowing the token before", "floor": "the entropy of the source"}
    told |= {"xz_trained": "`xz -9` that has seen training text"}
    known = with_missing(record.baselines)
    parts = [f"{told.get(name, name)} {UNKNOWN if value is None else f'{value:.3f}'}" for name, value in known.items()]
    if not parts:
        return []
    return [Paragraph(f"Baselines on the held-out text, in nats per token: {', '.join(parts)}.{_given(record)}")]


def _given(record: RunRecord) -> str:
    """What xz was given of the training text."""
    seen, packed = (record.facts.of_data("baselines", "method", f"xz_{name}_bytes") for name in ("seen", "trained"))
    if not seen or not packed:
        return ""
    return (
        f" xz that has seen training text read the last {byte_count(seen)} of it before the first"
        f" {byte_count(packed)} of the held-out text, which alone are counted."
    )
