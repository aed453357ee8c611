"""The layout of published GPT-2 models: the names of their weights and settings, and how they map onto `GPT`.

Linear layers are stored transposed, as `[in, out]` (Hugging Face's `Conv1D`); a tied head is not stored at all.
`lab.loading` reads folders in this layout, `lab.exporting` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lab.model.config import GPTConfig, MLPKind
from lab.model.gpt import GPT
from lab.model.layers import NORM_EPSILON

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

# Our name of an activation function and theirs; where there are several for the same one, the first is written.
ACTIVATIONS: dict[MLPKind, tuple[str, ...]] = {
    "gelu": ("gelu", "gelu_python"),
    "gelu_tanh": ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"),
    "relu2": ("relu2",),
    "relu": ("relu",),
}
# Names of layers here and there, within a block and around the blocks.
BLOCK_LAYERS = {
    "ln1": "ln_1",
    "attn.qkv": "attn.c_attn",
    "attn.out": "attn.c_proj",
    "ln2": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
OUTER_LAYERS = {"token_embedding": "wte", "position_embedding": "wpe", "ln_final": "ln_f"}
TRANSPOSED = ("c_attn", "c_proj", "c_fc")
PREFIX = "transformer."  # of all names but the head's; files of the model without its head leave it out
EMBEDDING, HEAD = "wte.weight", "lm_head.weight"
# What torch.compile, DDP, FSDP and activation checkpointing put into the names of the weights that they wrap.
WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
MASKS = (".attn.bias", ".attn.masked_bias")  # in old files, each layer's causal mask as if it were a weight
MOST_NAMED = 6  # weights that a message about a misfit names
DROPOUTS = ("embd", "attn", "resid")
# Settings of GPT-2's that this model has no switch for, and the one value it stands for.
FIXED = {
    "model_type": "gpt2",
    "layer_norm_epsilon": NORM_EPSILON,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
GPT2_VOCABULARY, GPT2_END_OF_TEXT = 50257, 50256


def gpt2_config(config: GPTConfig) -> dict[str, Any]:
    """The content of config.json. Raises ValueError naming every switch that GPT-2 does not have."""
    if problems := list(_inexpressible(config)):
        raise ValueError("GPT-2's layout cannot express this model:\n" + "\n".join(problems))
    end_of_text = GPT2_END_OF_TEXT if config.vocab_size == GPT2_VOCABULARY else None
    dropout = {f"{where}_pdrop": config.dropout for where in DROPOUTS}
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_embd": config.d_model,
        "n_inner": config.d_mlp,
        "n_positions": config.context_length,
        "vocab_size": config.vocab_size,
        "activation_function": ACTIVATIONS[config.mlp][0],
        "layer_norm_epsilon": NORM_EPSILON,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        **dropout,
    }


def gpt2_weights(model: GPT) -> dict[str, Tensor]:
    """The tensors of model.safetensors: missing biases as zeros, without rows that only pad the vocabulary."""
    ours = model.state_dict()
    weights = {}
    for name, their_name in _names(model.config).items():
        if name not in ours:  # a model without biases
            tensor = torch.zeros(len(ours[name.removesuffix("bias") + "weight"]))
        elif name in ("token_embedding.weight", "unembedding.weight"):
            tensor = ours[name][: model.config.vocab_size]
        else:
            tensor = _transpose(their_name, ours[name])
        prefix = "" if their_name.startswith("lm_head") else PREFIX
        weights[prefix + their_name] = tensor.contiguous().cpu()
    return weights


def config_from_gpt2(stored: Mapping[str, Any]) -> GPTConfig:
    """The configuration that a config.json asks for. Raises ValueError naming every setting not known here."""
    problems = [
        f"{name}={stored[name]!r}: this model knows only {only!r}"
        for name, only in FIXED.items()
        if stored.get(name, only) != only
    ]
    activation = stored.get("activation_function", "gelu_new")
    ours = {name: ours for ours, names in ACTIVATIONS.items() for name in names}
    if not isinstance(activation, str) or activation not in ours:
        problems.append(f"activation_function={activation!r}: this model knows only {', '.join(ours)}")
    dropout = {f"{where}_pdrop": stored.get(f"{where}_pdrop", 0.1) for where in DROPOUTS}
    if any(value != dropout["resid_pdrop"] for value in dropout.values()):
        told = ", ".join(f"{name}={value}" for name, value in dropout.items())
        problems.append(f"{told}: this model has one dropout; make them equal")
    if problems:
        raise ValueError("\n".join(problems))
    return GPTConfig(
        # What is missing takes the value that Hugging Face's GPT2Config gives it.
        n_layers=stored.get("n_layer", 12),
        n_heads=stored.get("n_head", 12),
        d_model=stored.get("n_embd", 768),
        d_mlp=stored.get("n_inner"),
        context_length=stored.get("n_positions", 1024),
        vocab_size=stored.get("vocab_size", GPT2_VOCABULARY),
        mlp=ours[activation],
        dropout=dropout["resid_pdrop"],
        tie_embeddings=stored.get("tie_word_embeddings", True),
        init_std=stored.get("initializer_range", 0.02),
    )


def model_from_gpt2(config: GPTConfig, stored: Mapping[str, Tensor]) -> GPT:
    """A GPT in fp32 and evaluation mode with the stored weights. Raises ValueError naming what does not fit.

    A head that differs from the embedding is kept, as `transformers` does, whatever the configuration says of tying:
    the model is then an untied one.
    """
    given = _plainly_named(stored)
    if config.tie_embeddings and HEAD in given:
        head = given.pop(HEAD)
        if not _equal(head, given.setdefault(EMBEDDING, head)):
            given[HEAD], config = head, replace(config, tie_embeddings=False)
    # A configuration of a million layers costs no more than naming the first that is missing.
    n_stored = len({name.split(".")[1] for name in given if name.startswith("h.")})
    config = replace(config, n_layers=min(config.n_layers, n_stored + 1))
    names = _names(config)
    problems = [f"{name} is missing" for name in names.values() if name not in given]
    known = set(names.values())
    problems += [f"{name} is no weight of GPT-2's" for name in given if name not in known]
    problems += [f"{name} is {t.dtype}: only 16, 32 and 64-bit floats are read" for name, t in given.items() if _odd(t)]
    try:
        with torch.device("meta"):  # no memory for initial weights, and none of the caller's random numbers
            model = GPT(config)
    except RuntimeError as error:
        raise ValueError(f"{CONFIG_FILE} asks for sizes that no tensor has: {error}") from None
    weights = {ours: _transpose(theirs, given[theirs]) for ours, theirs in names.items() if theirs in given}
    problems += [
        f"{names[name]} is {list(weights[name].shape)}, {CONFIG_FILE} asks for {list(tensor.shape)}"
        for name, tensor in model.state_dict().items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if problems:
        raise _misfit(problems)
    # Copied: what was read may be a view of a file that somebody overwrites.
    copies = {name: tensor.to(torch.float32, copy=True).contiguous() for name, tensor in weights.items()}
    model.load_state_dict(copies, assign=True)
    return model.eval()


def _plainly_named(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by GPT-2's own names, without masks. Raises ValueError where two different ones have one name."""
    given: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        plain = WRAPPERS.sub("", name).removeprefix(PREFIX)
        if not plain.endswith(MASKS) and not _equal(tensor, given.setdefault(plain, tensor)):
            raise ValueError(f"{plain} is there twice, with different numbers (once as {name})")
    return given


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype:
        one, other = one.double(), other.double()
    return one is other or torch.equal(one, other)


def _odd(tensor: Tensor) -> bool:
    """Whether a tensor holds no plain floats: quantised numbers mean nothing without their scales."""
    return not tensor.is_floating_point() or tensor.element_size() < 2


def _misfit(problems: list[str]) -> ValueError:
    more = [f"and {len(problems) - MOST_NAMED} more"] if len(problems) > MOST_NAMED else []
    return ValueError("\n".join(problems[:MOST_NAMED] + more))


def _inexpressible(config: GPTConfig) -> Iterator[str]:
    needed = {
        "positions": "learned",
        "norm": "layernorm",
        "norm_position": "pre",
        "qk_norm": False,
        "logit_softcap": None,
    }
    for name, only in needed.items():
        if getattr(config, name) != only:
            yield f"{name}={getattr(config, name)!r}: GPT-2 knows only {only!r}"
    if config.mlp not in ACTIVATIONS:
        yield f"mlp={config.mlp!r}: GPT-2 knows only {', '.join(ACTIVATIONS)}"
    if config.kv_heads != config.n_heads:
        yield f"n_kv_heads={config.n_kv_heads}: GPT-2 has as many key as query heads ({config.n_heads})"


def _names(config: GPTConfig) -> dict[str, str]:
    """Our name of each stored weight → theirs, without the prefix `transformer.`."""
    layers = dict(OUTER_LAYERS)
    for i in range(config.n_layers):
        layers |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}" for ours, theirs in BLOCK_LAYERS.items()}
    names = {}
    for ours, theirs in layers.items():
        names[f"{ours}.weight"] = f"{theirs}.weight"
        if not ours.endswith("embedding"):
            names[f"{ours}.bias"] = f"{theirs}.bias"
    if not config.tie_embeddings:
        names["unembedding.weight"] = HEAD
    return names


def _transpose(their_name: str, tensor: Tensor) -> Tensor:
    layer = their_name.split(".")[-2]
    return tensor.t() if layer in TRANSPOSED and tensor.ndim == 2 else tensor
