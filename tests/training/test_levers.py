"""What is chosen on which machine, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lab.model import GPT, GPTConfig
from lab.training import levers
from lab.training.levers import (
    LeverConfig,
    best_attention,
    best_precision,
    choose_levers,
)
from lab.waiting import SLEEP, SPIN, Measured

TINY = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11)


@pytest.fixture
def bf16_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "native_bf16", lambda: "AVX512-BF16")


@pytest.fixture
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "native_bf16", lambda: None)


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("bf16_cpu")
def test_bf16_where_it_is_native() -> None:
    chosen = choose_levers(config=TINY, device="cpu")
    assert (chosen.precision, chosen.attention, chosen.compile) == ("bf16-mixed", "explicit", False)
    assert "AVX512-BF16" in chosen.reasons["precision"]


@pytest.mark.usefixtures("plain_cpu")
def test_fp32_where_it_is_not() -> None:
    chosen = choose_levers(config=TINY, device="cpu")
    assert (chosen.precision, chosen.attention) == ("32-true", "sdpa")


def test_long_contexts_do_not_write_their_scores_out() -> None:
    long = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=4096, vocab_size=11)
    assert best_attention("cpu", "bf16-mixed", long)[0] == "sdpa"
    assert best_attention("cuda", "bf16-mixed", TINY)[0] == "sdpa"


def test_apples_gpu_stays_in_fp32() -> None:
    assert best_precision("mps")[0] == "32-true"


@pytest.mark.usefixtures("bf16_cpu")
def test_what_is_asked_for_wins_over_the_record_and_the_machine() -> None:
    recorded = {"device": {"value": "cpu"}, "threads": {"value": 5}, "precision": {"value": "bf16-mixed"}}
    chosen = choose_levers(
        LeverConfig(threads=3, attention="sdpa", loss="chunked", dropout="torch", keep_memory=False, compile=True),
        precision=32,
        config=TINY,
        device="cpu",
        fused=False,
        recorded=recorded,
    )
    asked = {"precision": "32-true", "attention": "sdpa", "fused": False, "threads": 3, "compile": True}
    asked |= {"loss": "chunked", "dropout": "torch", "keep_memory": False}
    assert {name: getattr(chosen, name) for name in asked} == asked
    assert set(chosen.reasons.values()) == {"asked for"}


@pytest.mark.usefixtures("bf16_cpu")
def test_a_resumed_run_keeps_its_levers_on_a_device_of_its_kind() -> None:
    began = replace(choose_levers(config=TINY, device="cpu"), precision="32-true", fused=False)
    kept = choose_levers(config=TINY, device="cpu", recorded=began.as_dict())
    assert (kept.precision, kept.fused) == ("32-true", False)
    moved = choose_levers(config=TINY, device="cpu", recorded={**began.as_dict(), "device": {"value": "cuda"}})
    assert moved.precision == "bf16-mixed"


def test_fp16_on_a_cpu_is_refused_where_lightning_would_take_another() -> None:
    with pytest.raises(ValueError, match="a CPU does not train in fp16, take bf16-mixed or 32-true"):
        choose_levers(precision="16-mixed", device="cpu")
    assert choose_levers(precision="bf16", device="cpu").precision == "bf16-mixed"


def test_impossible_settings_are_all_named() -> None:
    with pytest.raises(ValueError, match=r"levers\.threads is 0.*\n.*levers\.attention is 'flash'"):
        LeverConfig(threads=0, attention="flash")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"levers\.compile is 'later': choose true, false or beside"):
        LeverConfig(compile="later")  # type: ignore[arg-type]


def test_compiling_beside_is_for_a_cpu_and_leaves_the_first_steps_as_they_are() -> None:
    with pytest.raises(ValueError, match=r"levers\.compile is beside: that is for a CPU; on cuda take true"):
        choose_levers(LeverConfig(compile="beside"), config=TINY, device="cuda")
    chosen, model = choose_levers(LeverConfig(compile="beside", threads=1), config=TINY, device="cpu"), GPT(TINY)
    chosen.apply(model)
    assert model._compiled_call_impl is None
    assert "compile beside (asked for)" in chosen.lines()


@pytest.mark.parametrize(
    ("asked", "recorded", "threads", "why"),
    [
        (None, None, 1, "one core"),
        (None, 16, 1, "one core"),  # OMP_NUM_THREADS where the run began, or another machine
        (16, None, 16, "asked for"),
        (16, 4, 16, "asked for"),
        (16, 16, 1, "16 were asked for when the run began; one core"),
        (2, 2, 2, "asked for"),
    ],
)
def test_threads_are_those_of_this_machine(
    asked: int | None, recorded: int | None, threads: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levers, "usable_threads", lambda: (1, "one core"))
    monkeypatch.setattr(levers, "usable_cpus", lambda: frozenset(range(2)))
    before = {"device": {"value": "cpu"}, "threads": {"value": recorded}} if recorded else None
    chosen = choose_levers(LeverConfig(threads=asked), device="cpu", recorded=before)
    assert (chosen.threads, chosen.reasons["threads"]) == (threads, why)


@pytest.mark.usefixtures("plain_cpu")
def test_a_precision_that_is_kept_says_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "emulated_bf16", lambda: 10.0)
    began = {"device": {"value": "cpu"}, "precision": {"value": "bf16-mixed"}, "attention": {"value": "explicit"}}
    kept = choose_levers(config=TINY, device="cpu", recorded=began)
    assert (kept.precision, kept.attention) == ("bf16-mixed", "explicit")
    (line,) = (line for line in kept.lines() if line.startswith("precision"))
    assert "as the run began; this machine would take 32-true: no native bf16" in line
    assert "about 10 times as long" in line


@pytest.mark.usefixtures("_threads")
def test_applying_sets_threads_and_kernel_and_compiling_keeps_the_names() -> None:
    model = GPT(TINY)
    names = set(model.state_dict())
    asked = LeverConfig(threads=2, attention="explicit", loss="chunked", dropout="torch", compile=True)
    choose_levers(asked, config=TINY, device="cpu").apply(model)
    assert torch.get_num_threads() == 2
    assert model.blocks[0].attn.kernel == "explicit"
    assert model.loss_kernel == "chunked"
    assert model.dropout.kernel == "torch"
    assert model._compiled_call_impl is not None
    assert set(model.state_dict()) == names


def test_autocast_computes_in_the_precision() -> None:
    model, tokens = GPT(TINY), torch.zeros(1, 8, dtype=torch.long)
    for precision, dtype in (("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)):
        with choose_levers(precision=precision, device="cpu").autocast():
            assert model(tokens).dtype == dtype


def test_the_log_and_the_record_say_what_and_why() -> None:
    chosen = choose_levers(LeverConfig(threads=2), config=TINY, device="cpu")
    assert "threads 2 (asked for)" in chosen.lines()
    assert any(line.startswith("compile off (") for line in chosen.lines())
    assert chosen.as_dict()["threads"] == {"value": 2, "reason": "asked for"}
    kernels = {"attention", "loss", "dropout"}
    assert set(chosen.as_dict()) == {"device", "precision", *kernels, "fused", "threads", "keep_memory", "compile"}


def test_the_loss_goes_by_the_vocabulary_and_dropout_by_its_probability() -> None:
    large = replace(TINY, vocab_size=50257, dropout=0.1)
    chosen = choose_levers(config=large, device="cpu")
    assert (chosen.loss, chosen.dropout) == ("chunked", "bytes")
    assert "50,257" in chosen.reasons["loss"]
    assert "0.1016" in chosen.reasons["dropout"]  # 26/256: what p really is
    small = choose_levers(config=replace(TINY, dropout=0.003), device="cpu")
    assert (small.loss, small.dropout) == ("whole", "torch")
    elsewhere = choose_levers(config=large, device="cuda")
    assert (elsewhere.loss, elsewhere.dropout, elsewhere.keep_memory) == ("whole", "torch", False)


@pytest.mark.usefixtures("_threads")
def test_others_are_watched_for_unless_the_user_says_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[str] = []
    monkeypatch.setattr(levers, "watch_neighbours", lambda: watched.append("on"))
    choose_levers(LeverConfig(give_way=False), config=TINY, device="cpu").apply(GPT(TINY))
    assert not watched
    choose_levers(config=TINY, device="cpu").apply(GPT(TINY))
    assert watched == ["on"]


@pytest.mark.parametrize(
    ("usable", "found", "asked", "threads", "why"),
    [
        ("two cores", Measured(SPIN, 1), None, 1, "the fastest in a trial on this machine"),
        ("two cores", Measured(SLEEP, 2), None, 2, "the fastest in a trial on this machine, those that wait asleep"),
        ("two cores", Measured(SPIN, 2), None, 2, "two cores"),
        ("two cores", Measured(SPIN, 1), 2, 2, "asked for"),
        ("OMP_NUM_THREADS", Measured(SPIN, 1), None, 2, "OMP_NUM_THREADS"),
    ],
)
def test_the_trial_counts_where_the_user_has_not_chosen(
    usable: str, found: Measured, asked: int | None, threads: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levers, "usable_threads", lambda: (2, usable))
    monkeypatch.setattr(levers, "adopted", [found])
    chosen = choose_levers(LeverConfig(threads=asked), device="cpu")
    assert (chosen.threads, chosen.reasons["threads"]) == (threads, why)
