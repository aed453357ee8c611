from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lab.model import GPT, GPTConfig, load_gpt2, save_gpt2
from tests.variants import TINY

transformers = pytest.importorskip("transformers")

SHAPES: list[dict[str, Any]] = [
    {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 16, "vocab_size": 65},
    {"n_layer": 3, "n_head": 2, "n_embd": 48, "n_positions": 32, "vocab_size": 101, "n_inner": 100},
    {"n_layer": 1, "n_head": 12, "n_embd": 96, "n_positions": 8, "vocab_size": 50257},
    {
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 32,
        "n_positions": 16,
        "vocab_size": 65,
        "tie_word_embeddings": False,
    },
    {
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 32,
        "n_positions": 16,
        "vocab_size": 65,
        "activation_function": "gelu",
    },
]


def make_theirs(**settings: Any) -> Any:
    torch.manual_seed(0)
    # A hundred thousandth of a logit must not hide in small weights.
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(initializer_range=0.2, **settings))
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_a_published_gpt2_opens_here_with_the_same_logits(shape: dict[str, Any], tmp_path: Path) -> None:
    theirs = make_theirs(**shape)
    theirs.save_pretrained(tmp_path)
    ours = load_gpt2(tmp_path)
    assert not ours.training
    tokens = torch.randint(0, shape["vocab_size"], (2, shape["n_positions"]))
    with torch.no_grad():
        expected = theirs(tokens).logits
        torch.testing.assert_close(ours(tokens), expected, atol=1e-4, rtol=0)
        cache = ours.new_cache(2)
        stepwise = [ours(tokens[:, :3], cache=cache)]
        stepwise += [ours(tokens[:, i : i + 1], cache=cache) for i in range(3, tokens.shape[1])]
        torch.testing.assert_close(torch.cat(stepwise, 1), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"mlp": "gelu_tanh", "dropout": 0.1},
        {"bias": False, "mlp": "relu2"},
        {"tie_embeddings": False, "pad_vocab_to": 64},
        {"pad_vocab_to": 128, "d_mlp": 40, "zero_init": True},
    ],
    ids=str,
)
def test_a_model_from_here_opens_there_and_comes_back(switches: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = GPT(GPTConfig(**TINY, **switches)).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_gpt2(ours, tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    back = load_gpt2(tmp_path)
    tokens = torch.randint(0, 65, (2, 16))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), atol=1e-4, rtol=0)
        torch.testing.assert_close(back(tokens), ours(tokens), atol=1e-5, rtol=0)
    assert theirs.config.vocab_size == back.config.padded_vocab_size == 65
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_every_switch_that_gpt2_lacks_is_named(tmp_path: Path) -> None:
    config = GPTConfig(
        **TINY,
        n_kv_heads=2,
        positions="rope",
        norm="rmsnorm",
        norm_position="post",
        mlp="swiglu",
        qk_norm=True,
        logit_softcap=15.0,
    )
    with pytest.raises(ValueError, match="cannot express this model") as error:
        save_gpt2(GPT(config), tmp_path / "out")
    for switch in ("positions='rope'", "norm='rmsnorm'", "norm_position='post'", "mlp='swiglu'"):
        assert switch in str(error.value)
    for switch in ("qk_norm=True", "logit_softcap=15.0", "n_kv_heads=2"):
        assert switch in str(error.value)
    assert not (tmp_path / "out").exists()


def test_files_of_the_bare_model_with_masks_open_too(tmp_path: Path) -> None:
    """OpenAI's own files: no `transformer.` before the names, and each layer's causal mask among the
    weights.
    """
    theirs = make_theirs(**SHAPES[0])
    theirs.save_pretrained(tmp_path)
    weights = {n.removeprefix("transformer."): t for n, t in load_file(tmp_path / "model.safetensors").items()}
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 16, 16).tril() for i in range(2)}
    save_file(weights | masks, tmp_path / "model.safetensors")
    tokens = torch.randint(0, 65, (2, 16))
    with torch.no_grad():
        torch.testing.assert_close(load_gpt2(tmp_path)(tokens), theirs(tokens).logits, atol=1e-4, rtol=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_gpt2(GPT(GPTConfig(**TINY)), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "llama"}, "model_type='llama'"),
        ({"activation_function": "silu"}, "activation_function='silu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon=1e-06"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ({"attn_pdrop": 0.5}, "attn_pdrop=0.5"),
        ({"n_head": 5}, "n_heads=5"),
        ({"n_layer": "two"}, "n_layers='two'"),
        ({"n_layer": 3}, "h.2.ln_1.weight is missing"),
        ({"n_layer": 1}, "h.1.attn.c_attn.bias is no weight of GPT-2's"),
        ({"n_embd": 64}, r"wte.weight is \[65, 32\], config.json asks for \[65, 64\]"),
    ],
    ids=str,
)
def test_a_folder_that_does_not_fit_is_refused_by_name(folder: Path, change: dict, told: str) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=told) as error:
        load_gpt2(folder)
    assert str(folder) in str(error.value)


def test_torn_missing_and_foreign_files_are_one_clear_error(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_gpt2(folder)
    weights.unlink()
    with pytest.raises(ValueError, match=r"has no model\.safetensors"):
        load_gpt2(folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"')
    with pytest.raises(ValueError, match=r"config\.json describes no GPT-2"):
        load_gpt2(folder)
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"config\.json describes no GPT-2"):
        load_gpt2(folder)
    with pytest.raises(ValueError, match="is no GPT-2 folder"):
        load_gpt2(tmp_path / "nowhere")
