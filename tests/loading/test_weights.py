"""Opening runs: every kind of weights, and every way in which they can be wrong."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.data.vocabulary import ByteTokenizer
from lab.loading import find_weights, list_weights, load
from lab.model import GPT, GPTConfig
from lab.runs import Run, create_run
from lab.runs.checkpoints import record_checkpoint, step_path
from lab.runs.snapshots import write_snapshot
from tests.checkpoints import write_checkpoint

CONFIG = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=257)
TOKENS = torch.tensor([[1, 2, 3, 255]])


def model_of(step: int, config: GPTConfig = CONFIG) -> GPT:
    torch.manual_seed(step)
    return GPT(config).eval()


def save_checkpoint(run: Run, step: int, config: GPTConfig = CONFIG, **options: Any) -> None:
    """What training writes: the network's weights under `model.`, beside much else."""
    model = model_of(step, config)
    state = {
        "state_dict": {f"model.{name}": tensor for name, tensor in model.state_dict().items()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(9)}}}],
        "hyper_parameters": {"config": asdict(config)},
        "global_step": step,
    }
    options = {"model_config": asdict(config)} | options
    write_checkpoint(run, step, lambda file: torch.save(state, file), **options)


def save_snapshot(run: Run, step: int, config: GPTConfig = CONFIG) -> None:
    write_snapshot(run, step, model_of(step, config).state_dict(), model_config=asdict(config))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Snapshots at 0, 1, 2, 4; checkpoints at 3 (the best) and 6."""
    run = create_run(tmp_path / "runs", "tiny")
    run.tokenizer_path.write_text(ByteTokenizer().to_json())
    for step in (0, 1, 2, 4):
        save_snapshot(run, step)
    save_checkpoint(run, 3, best=True)
    save_checkpoint(run, 6)
    return run


def opened(run: Run, step: int | str | None = None, **options: Any) -> lab.loading.Loaded:
    return load(run.name, step, root=run.path.parent, **options)


@torch.no_grad()
def same_model(one: GPT, other: GPT) -> bool:
    return torch.equal(one(TOKENS), other(TOKENS))


@pytest.mark.parametrize(("asked", "got"), [(None, 6), (0, 0), (4, 4), (3, 3), ("last", 6), ("best", 3), (6, 6)])
def test_any_step_of_a_run(run: Run, asked: int | str | None, got: int) -> None:
    model, tokenizer = opened(run, asked)
    assert same_model(model, model_of(got))
    assert not model.training
    assert tokenizer.decode(tokenizer.encode("né")) == "né"
    loaded = opened(run, asked)
    assert (loaded.step, loaded.name, loaded.run) == (got, "tiny", run)
    assert loaded.info is not None
    assert loaded.info.sha256


def test_by_path_as_the_newest_run_and_from_the_package(run: Run) -> None:
    assert load(run.path).step == 6
    assert load("last", root=run.path.parent).step == 6
    assert lab.load(str(run.path), step=1).step == 1


def test_a_newer_snapshot_is_newer_than_the_last_checkpoint(run: Run) -> None:
    save_snapshot(run, 8)
    assert opened(run).step == 8
    assert opened(run, "last").step == 6


def test_a_step_with_both_takes_the_snapshot(run: Run) -> None:
    save_snapshot(run, 6)
    assert [info.step for info in list_weights(run)] == [0, 1, 2, 3, 4, 6]
    assert find_weights(run, 6).path.suffix == ".safetensors"


def test_tied_padded_and_other_variants_come_back_as_they_were(run: Run) -> None:
    variant = GPTConfig(**asdict(CONFIG) | {"positions": "rope", "mlp": "swiglu", "pad_vocab_to": 64})
    untied = GPTConfig(**asdict(CONFIG) | {"tie_embeddings": False, "norm": "rmsnorm", "bias": False})
    save_snapshot(run, 16, variant)
    save_checkpoint(run, 17, untied)
    assert same_model(opened(run, 16).model, model_of(16, variant))
    assert same_model(opened(run, 17).model, model_of(17, untied))


def test_nothing_random_is_touched(run: Run) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    opened(run)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- what can be wrong with a run


def refusal(run: Run, step: int | str | None = None, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"\w") as error:
        opened(run, step, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_step_that_was_not_saved_names_those_that_were(run: Run) -> None:
    assert "no weights of step 5; there are those of the steps 0, 1, 2, 3, 4, 6" in refusal(run, 5)
    for step in range(100, 140):
        save_snapshot(run, step)
    assert "of the 46 there are, the nearest are those of the steps" in refusal(run, 99)
    assert "step='first'" in refusal(run, "first")


def test_a_run_without_weights(tmp_path: Path) -> None:
    run = create_run(tmp_path, "empty")
    assert "no weights to load yet" in refusal(run)
    with pytest.raises(ValueError, match="no run 'other'"):
        load("other", root=tmp_path)


@pytest.mark.parametrize("step", [4, 6])
def test_torn_weights_are_named_and_never_taken_for_the_newest(run: Run, step: int) -> None:
    path = find_weights(run, step).path
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path.name} is damaged" in refusal(run, step)
    if step == 6:
        with pytest.warns(UserWarning, match="weights of step 4"):
            assert opened(run).step == 4


@pytest.mark.parametrize("step", [4, 6])
def test_damage_that_keeps_the_size_is_found_by_its_hash(run: Run, step: int) -> None:
    path = find_weights(run, step).path
    content = bytearray(path.read_bytes())
    content[-len(content) // 3] ^= 0x40
    path.write_bytes(content)
    assert "sha256" in refusal(run, step, verify=True)


def test_no_damage_to_the_bytes_gives_anything_but_a_model_or_one_line(run: Run) -> None:
    rng = random.Random(0)
    for step in (4, 6):
        path = find_weights(run, step).path
        whole = path.read_bytes()
        for _ in range(25):
            content = bytearray(whole)
            start = rng.choice((0, rng.randrange(len(content)), len(content) - 200))
            for i in range(start, min(start + rng.choice((1, 8, 200)), len(content))):
                content[i] = rng.randrange(256)
            path.write_bytes(content)
            try:
                opened(run, step)
            except ValueError as error:
                assert len(str(error)) < 600  # noqa: PT017
        path.write_bytes(whole)


class Trap:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("trapped"),))


def test_a_checkpoint_that_holds_code_is_refused_unrun(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "trap": Trap()}, step_path(run.checkpoints_dir, 9))
    record_checkpoint(run, 9, model_config=asdict(CONFIG))
    assert "objects" in refusal(run, 9)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("content", [{"weights": 1}, {"state_dict": None}, [1, 2]])
def test_a_foreign_checkpoint_is_said_to_be_one(run: Run, content: Any) -> None:
    torch.save(content, step_path(run.checkpoints_dir, 9))
    record_checkpoint(run, 9, model_config=asdict(CONFIG))
    assert "no training checkpoint" in refusal(run, 9)


def test_weights_that_do_not_fit_their_configuration(run: Run) -> None:
    wider = asdict(CONFIG) | {"d_model": 32}
    save_checkpoint(run, 9, model_config=wider)
    assert "is [257, 16] instead of [257, 32]" in refusal(run, 9)
    deeper = asdict(CONFIG) | {"n_layers": 2}
    save_checkpoint(run, 10, model_config=deeper)
    assert "blocks.1.ln1.weight is missing" in refusal(run, 10)
    write_snapshot(run, 11, model_of(0).state_dict() | {"extra": torch.ones(1)}, model_config=asdict(CONFIG))
    assert "extra is no weight of this model" in refusal(run, 11)


@pytest.mark.parametrize("config", [{}, {"n_hats": 4}, asdict(CONFIG) | {"d_model": 15}])
def test_facts_that_describe_no_model(run: Run, config: dict[str, Any]) -> None:
    save_checkpoint(run, 9, model_config=config)
    assert refusal(run, 9)


def test_a_missing_or_foreign_tokenizer(run: Run) -> None:
    kept = run.tokenizer_path.read_text()
    run.tokenizer_path.write_text(kept[: len(kept) // 2])
    assert "tokenizer" in refusal(run)
    run.tokenizer_path.unlink()
    assert "tokenizer" in refusal(run)
    run.tokenizer_path.write_text(kept)
    save_snapshot(run, 12, GPTConfig(**asdict(CONFIG) | {"vocab_size": 99}))
    assert "99 token ids" in refusal(run, 12)


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "toaster"])
def test_a_device_that_is_not_there(run: Run, device: str) -> None:
    assert f"device='{device}'" in refusal(run, device=device)
