"""What a model costs, from its configuration alone: parameters by component and FLOPs per token."""

from __future__ import annotations

from lab.model.config import GPTConfig


def count_parts(config: GPTConfig) -> dict[str, int]:
    """Number of parameters of each part as it stands in the model, once: `norm` is one of the norms over the stream,
    `qk_norm` both of one attention, `attention` (without them) and `mlp` those of one block, biases included.

    `token_embedding` counts padded rows too, and a tied head only once: `unembedding` is 0 then.
    """
    width, bias = config.d_model, int(config.bias)
    embedding = config.padded_vocab_size * width
    qkv = (config.n_heads + 2 * config.kv_heads) * config.d_head
    hidden = config.mlp_width * (2 if config.mlp == "swiglu" else 1)
    return {
        "token_embedding": embedding,
        "position_embedding": config.context_length * width if config.positions == "learned" else 0,
        "norm": width * (2 if config.norm == "layernorm" and config.bias else 1),
        "attention": (width + bias) * qkv + (width + bias) * width,
        "qk_norm": 2 * config.d_head if config.qk_norm else 0,
        "mlp": (width + bias) * hidden + (config.mlp_width + bias) * width,
        "unembedding": 0 if config.tie_embeddings else embedding,
    }


def count_parameters(config: GPTConfig) -> dict[str, int]:
    """Number of parameters by component, and their `total`; exactly those of `GPT(config)`.

    As `count_parts`, with `attention` and `mlp` over all blocks; `norms` holds every gain and shift, QK-norm's
    included.
    """
    one, n_layers = count_parts(config), config.n_layers
    final_norm = one["norm"] if config.norm_position == "pre" else 0
    counts = {
        "token_embedding": one["token_embedding"],
        "position_embedding": one["position_embedding"],
        "attention": n_layers * one["attention"],
        "mlp": n_layers * one["mlp"],
        "norms": n_layers * (2 * one["norm"] + one["qk_norm"]) + final_norm,
        "unembedding": one["unembedding"],
    }
    return counts | {"total": sum(counts.values())}


def forward_flops_per_token(config: GPTConfig, context: int | None = None) -> int:
    """Floating-point operations of a forward pass per token, in sequences of `context` (default: full length).

    2 for every weight of every matrix that the token is multiplied with, the head's included (a multiplication and an
    addition), and for attention 4 · n_layers · d_model · context: the scores q·kᵀ and the sum pattern·v take 2 each for
    every number of a head and every key. As in PaLM (Chowdhery et al. 2022, appendix B) the whole square of scores is
    counted, also the half above the diagonal, which a kernel may leave out. Not counted: embedding look-ups, biases,
    norms, softmax, activation functions (about 1 % of a model 768 wide).
    """
    context = config.context_length if context is None else context
    width = config.d_model
    qkv_and_out = width * (config.n_heads + 2 * config.kv_heads) * config.d_head + width * width
    mlp = width * config.mlp_width * (3 if config.mlp == "swiglu" else 2)
    weights = config.n_layers * (qkv_and_out + mlp) + config.padded_vocab_size * width
    return 2 * weights + 4 * config.n_layers * width * context


def flops_per_token(config: GPTConfig, context: int | None = None) -> int:
    """Floating-point operations of training on one token: forward and backward, without the optimizer.

    Three times the forward pass: backward, each product is paid twice, once for the gradient of its input and once for
    that of its weight (Kaplan et al. 2020, §2.1). Hence the rule of thumb 6 · parameters, here with 12 · n_layers ·
    d_model · context for attention on top. Multiply by tokens per second for FLOP/s.
    """
    return 3 * forward_flops_per_token(config, context)
