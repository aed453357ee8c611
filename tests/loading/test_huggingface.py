"""Opening Hugging Face folders: models, vocabularies, and every way in which they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from lab.data.vocabulary import ByteTokenizer
from lab.exporting import save_gpt2
from lab.loading import load
from lab.loading.huggingface import load_gpt2
from lab.model import GPT, GPTConfig
from tests.shrunk import require_vocabulary
from tests.variants import TINY

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
    model = GPT2LMHeadModel(GPT2Config(initializer_range=0.2, **settings))
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


# ---------------------------------------------------------------- with a vocabulary

TOKENS = torch.tensor([[1, 2, 3, 255]])
TEXT = "def add(one, two):\n    return one + two  # né 中文 🙂\n\n\nclass Pair:\n    one = 1\n" * 8


def learn_vocabulary(folder: Path, size: int = 300) -> ByteLevelBPETokenizer:
    folder.mkdir(exist_ok=True)
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator([TEXT], vocab_size=size, min_frequency=1, show_progress=False)
    learner.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["<|endoftext|>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return learner


def save_theirs(folder: Path, vocab_size: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=1, n_head=2, n_embd=16, n_positions=32, vocab_size=vocab_size, bos_token_id=0, eos_token_id=0
    )
    theirs = GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(folder)
    return theirs


@pytest.mark.parametrize("form", ["vocab.json", "tokenizer.json"])
def test_a_folder_with_a_vocabulary_of_its_own(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "small-gpt2"
    learn_vocabulary(folder)
    if form == "tokenizer.json":
        GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
        (folder / "vocab.json").unlink()
        (folder / "merges.txt").unlink()
        assert (folder / "tokenizer.json").exists()
    theirs = save_theirs(folder, 301)
    loaded = load(folder)
    assert (loaded.name, loaded.step, loaded.run) == ("small-gpt2", None, None)
    model, tokenizer = loaded
    reference = GPT2TokenizerFast.from_pretrained(folder)
    text = TEXT + "other words: Ω ½ <|endoftext"
    assert tokenizer.encode(text).tolist() == reference(text)["input_ids"]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.eot_id == 300
    with torch.no_grad():
        torch.testing.assert_close(model(TOKENS), theirs(TOKENS).logits, atol=1e-5, rtol=0)


def test_a_vocabulary_rounded_up_loses_the_ids_that_no_token_has(tmp_path: Path) -> None:
    learn_vocabulary(tmp_path)
    theirs = save_theirs(tmp_path, 320)
    model, tokenizer = load(tmp_path)
    with torch.no_grad():
        logits = model(TOKENS)
        torch.testing.assert_close(logits, theirs(TOKENS).logits[..., :301], atol=1e-5, rtol=0)
    assert tokenizer.vocab_size == model.config.vocab_size == 301


def test_a_published_gpt2_gets_its_vocabulary(tmp_path: Path) -> None:
    require_vocabulary("gpt2")
    save_theirs(tmp_path, 50257)
    _, tokenizer = load(tmp_path)
    assert tokenizer.encode("Hello world").tolist() == [15496, 995]


def test_a_model_that_left_here_comes_back_with_its_run_s_tokenizer(tmp_path: Path) -> None:
    config = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=257, mlp="gelu_tanh")
    there = GPT(config).eval()
    save_gpt2(there, tmp_path)
    (tmp_path / "tokenizer.json").write_text(ByteTokenizer().to_json())
    model, tokenizer = load(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(TOKENS), there(TOKENS))
    assert tokenizer.name == "bytes"


def test_folders_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    def reason(step: int | None = None) -> str:
        with pytest.raises(ValueError, match=r"\w") as error:
            load(tmp_path, step)
        return str(error.value)

    save_theirs(tmp_path, 301)
    assert "vocab.json and merges.txt" in reason()
    assert "one set of weights" in reason(3)
    learn_vocabulary(tmp_path, 320)
    assert "304 tokens, the model knows 301" in reason()
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    shifted = {"<pad>": 0} | {token: i + 1 for token, i in vocabulary.items()}
    (tmp_path / "vocab.json").write_text(json.dumps(shifted))
    assert "305 tokens, the model knows 301" in reason()
    (tmp_path / "merges.txt").unlink()
    assert "merges.txt" in reason()
    (tmp_path / "vocab.json").write_text("{")
    assert "not JSON" in reason()
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    assert "byte-level BPE" in reason()
    (tmp_path / "config.json").write_text("[]")
    assert "config.json" in reason()


# ---------------------------------------------------------------- weights as others store them

SMALL: dict[str, Any] = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 8, "vocab_size": 40}


def check_same_logits(folder: Path, theirs: Any, n_ids: int = 40) -> GPT:
    ours = load_gpt2(folder)
    tokens = torch.randint(0, n_ids, (2, 8))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=1e-5, rtol=0)
    return ours


@pytest.mark.parametrize("stored", ["other", "same", "head alone"])
def test_a_head_of_its_own_is_kept_though_the_configuration_ties_it(tmp_path: Path, stored: str) -> None:
    make_theirs(**SMALL).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    embedding = weights["transformer.wte.weight"]
    weights["lm_head.weight"] = torch.randn(40, 16) if stored == "other" else embedding.clone()
    if stored == "head alone":
        del weights["transformer.wte.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    ours = check_same_logits(tmp_path, GPT2LMHeadModel.from_pretrained(tmp_path).eval())
    assert ours.config.tie_embeddings == (stored != "other")


@pytest.mark.parametrize(
    "name", ["gelu", "gelu_python", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "relu", "relu2"]
)
def test_activation_functions_by_all_their_names(tmp_path: Path, name: str) -> None:
    theirs = make_theirs(**SMALL, activation_function=name)
    theirs.save_pretrained(tmp_path)
    check_same_logits(tmp_path, theirs)


def test_shards_open_as_one_file_does(tmp_path: Path) -> None:
    theirs = make_theirs(**SMALL)
    theirs.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    check_same_logits(tmp_path, theirs)


@pytest.mark.parametrize("wrap", ["_orig_mod.{}", "module.{}", "module._orig_mod.{}", "transformer.h.1._orig_mod.{}"])
def test_names_that_a_wrapper_has_left_its_own_in(tmp_path: Path, wrap: str) -> None:
    theirs = make_theirs(**SMALL, tie_word_embeddings=False)
    theirs.save_pretrained(tmp_path)
    inner, _, _ = wrap.rpartition("_orig_mod.") if wrap.startswith("transformer") else ("", "", "")
    renamed = {
        wrap.format(name.removeprefix(inner)) if name.startswith(inner) else name: tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    save_file(renamed, tmp_path / "model.safetensors")
    check_same_logits(tmp_path, theirs)


def test_weights_that_cannot_be_meant_are_refused_in_few_lines(folder: Path) -> None:
    def reason() -> str:
        with pytest.raises(ValueError, match=r"\w") as error:
            load_gpt2(folder)
        assert len(str(error.value).splitlines()) < 10
        return str(error.value)

    path = folder / "model.safetensors"
    whole = load_file(path)
    name = "transformer.h.0.mlp.c_fc.weight"
    save_file(whole | {name: whole[name].to(torch.int8)}, path)
    assert "h.0.mlp.c_fc.weight is torch.int8" in reason()
    save_file(whole | {f"module.{name}": whole[name] + 1}, path)
    assert "there twice" in reason()
    save_file({"a": torch.zeros(1)}, path)
    assert "more" in reason()
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    assert "git lfs pull" in reason()
    save_file(whole, path)
    config = json.loads((folder / "config.json").read_text())
    for change in ({"n_layer": 10**9}, {"n_embd": 4 * 10**12}, {"vocab_size": 10**15}, {"activation_function": []}):
        (folder / "config.json").write_text(json.dumps(config | change))
        assert reason()


def test_an_index_that_does_not_fit_its_shards_is_named(folder: Path) -> None:
    def reason(weight_map: Any) -> str:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(ValueError, match=r"\w") as error:
            load_gpt2(folder)
        return str(error.value)

    shard = "model-00001-of-00002.safetensors"
    (folder / "model.safetensors").rename(folder / shard)
    names = dict.fromkeys(load_file(folder / shard), shard)
    assert f"has no {shard.replace('1-', '2-')}" in reason(names | {"a": "model-00002-of-00002.safetensors"})
    assert f"{shard} has no a" in reason(names | {"a": shard})
    assert "no file beside it" in reason({"a": "../model.safetensors"})
    assert "no file beside it" in reason({"a": 3})
    assert "no weight_map" in reason({})
    assert "no weight_map" in reason([])


# ---------------------------------------------------------------- vocabularies as others store them


def save_vocabulary(folder: Path, specials: list[str], *, words: bool = True, **declared: Any) -> Any:
    """A tokenizer.json with `specials` first, and files that declare the end; returns the library's own."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator([TEXT], trainer)
    learner.save(str(folder / "tokenizer.json"))
    for name, content in declared.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | content))
    return learner


@pytest.mark.parametrize("words", [True, False])
def test_a_folder_s_pre_tokenizer_is_obeyed(tmp_path: Path, words: bool) -> None:
    theirs = save_vocabulary(tmp_path, ["<|endoftext|>"], words=words)
    save_theirs(tmp_path, 300)
    _, tokenizer = load(tmp_path)
    assert tokenizer.encode(TEXT).tolist() == theirs.encode(TEXT).ids
    assert tokenizer.eot_id == 0


@pytest.mark.parametrize(
    ("declared", "end"),
    [
        ({}, "<|endoftext|>"),
        ({"config": {"eos_token_id": 2}}, "</s>"),
        ({"config": {"eos_token_id": [50256, 1]}}, "<|endoftext|>"),
        ({"generation_config": {"eos_token_id": 2}, "config": {"eos_token_id": None}}, "</s>"),
        ({"tokenizer_config": {"eos_token": "</s>"}}, "</s>"),
        ({"special_tokens_map": {"eos_token": {"content": "</s>"}}}, "</s>"),
        ({"special_tokens_map": {"eos_token": ["</s>"]}, "tokenizer_config": {"eos_token": None}}, "<|endoftext|>"),
    ],
    ids=str,
)
def test_what_ends_a_text_is_what_the_files_declare(tmp_path: Path, declared: dict[str, Any], end: str) -> None:
    theirs = save_theirs(tmp_path, 300)
    (tmp_path / "generation_config.json").unlink()
    config = json.loads((tmp_path / "config.json").read_text()) | {"eos_token_id": 50256}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_vocabulary(tmp_path, ["<pad>", "<|endoftext|>", "</s>"], **declared)
    model, tokenizer = load(tmp_path)
    assert tokenizer.tokens[tokenizer.eot_id] == end.encode()
    assert tokenizer.specials == {"<pad>": 0, "<|endoftext|>": 1, "</s>": 2}
    with torch.no_grad():
        torch.testing.assert_close(model(TOKENS), theirs(TOKENS).logits, atol=1e-5, rtol=0)


def test_padding_before_the_end_in_the_older_form(tmp_path: Path) -> None:
    learn_vocabulary(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    end = vocabulary.pop("<|endoftext|>")
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<pad>": end, "<|endoftext|>": end + 1}))
    theirs = save_theirs(tmp_path, end + 2)
    model, tokenizer = load(tmp_path)
    assert (tokenizer.eot_id, tokenizer.vocab_size) == (end + 1, end + 2)
    with torch.no_grad():
        assert model(TOKENS).shape[-1] == theirs(TOKENS).logits.shape[-1]


def test_the_older_form_takes_its_other_settings_from_beside_it(tmp_path: Path) -> None:
    learn_vocabulary(tmp_path)
    added = {"301": {"content": "<user>", "special": False}, "junk": 3, "302": []}
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"add_prefix_space": True, "added_tokens_decoder": added, "model_max_length": 10**30})
    )
    save_theirs(tmp_path, 310)
    _, tokenizer = load(tmp_path)
    assert tokenizer.encode("one").tolist() == tokenizer.encode(" one").tolist()
    assert tokenizer.encode("one<user>").tolist()[-1] == 301


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", None, "is no GPT-2 folder: it has no config.json"),
        ("config.json", b"[" * 100_000, "config.json"),
        ("config.json", b'{"resid_pdrop": [1], "n_embd": {}, "activation_function": {}}', "resid_pdrop=[1]"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("model.safetensors", b"", "cannot be read as safetensors"),
        ("model.safetensors", b"\0" * 7 + b"\x40{}", "cannot be read as safetensors"),
        ("tokenizer.json", b'{"model": {"type": "BPE"', "not JSON"),
        ("tokenizer.json", b"{}", "only byte-level BPE"),
        ("tokenizer.json", {"post_processor": {"type": "TemplateProcessing", "single": [1]}}, "cannot read it"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": 3}}, "cannot read it"),
        ("tokenizer.json", {"added_tokens": [{"content": 1}]}, "cannot read it"),
        ("tokenizer.json", {"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []}, "is empty"),
        ("tokenizer_config.json", b"{", "tokenizer_config.json is damaged"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_odd_files_are_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: Any, told: str
) -> None:
    from lab.commands.generate import main

    save_vocabulary(tmp_path, ["<|endoftext|>"])
    save_theirs(tmp_path, 300)
    if isinstance(content, dict):
        content = json.dumps(json.loads((tmp_path / name).read_text()) | content).encode()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    capsys.readouterr()
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("error:") == len(error.splitlines()) == 1
    assert told in error
