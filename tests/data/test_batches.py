from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.data.batches import (
    SequenceOrder,
    SyntheticSequences,
    TextSequences,
    mix,
    permute,
    random_windows,
    sequences_per_epoch,
    step_batch,
)

quick = settings(max_examples=60, deadline=None)
SEEDS = st.integers(0, 2**63)


def text(n_train: int, context: int = 8, seed: int = 0, n_val: int = 50) -> TextSequences:
    """A source whose token at position i is i, so that a batch shows where it was cut."""
    return TextSequences(np.arange(n_train, dtype=np.uint32), np.arange(n_val, dtype=np.uint32), context, seed)


@quick
@given(st.integers(1, 3000), SEEDS)
def test_permute_is_one_to_one(n: int, key: int) -> None:
    assert sorted(permute(np.arange(n), n, np.uint64(key)).tolist()) == list(range(n))


@quick
@given(st.integers(1, 10**12), SEEDS, st.data())
def test_permute_is_pure_and_stays_inside(n: int, key: int, data: st.DataObject) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20)))
    landed = permute(indices, n, np.uint64(key))
    assert landed.min() >= 0
    assert landed.max() < n
    for index, where in zip(indices, landed, strict=True):
        assert permute(np.array([index]), n, np.uint64(key))[0] == where


def test_permute_shuffles_evenly() -> None:
    """Over many keys each index lands everywhere equally often: chi-squared of 81 degrees of freedom."""
    n, keys = 10, 3000
    counts = np.zeros((n, n))
    for key in range(keys):
        counts[np.arange(n), permute(np.arange(n), n, mix(np.array([key], dtype=np.uint64)))] += 1
    chi2 = float(((counts - keys / n) ** 2 / (keys / n)).sum())
    assert chi2 < 140  # p = 0.0001; neighbours that stay neighbours give thousands


@quick
@given(st.integers(2, 2000), st.integers(1, 40), SEEDS, st.integers(0, 3))
def test_an_epoch_has_every_sequence_once(n_tokens: int, context: int, seed: int, epoch: int) -> None:
    per_epoch = sequences_per_epoch(n_tokens, context)
    if not per_epoch:
        with pytest.raises(ValueError, match="make no sequence"):
            SequenceOrder(n_tokens, context, seed)
        return
    starts = SequenceOrder(n_tokens, context, seed).starts(np.arange(epoch * per_epoch, (epoch + 1) * per_epoch))
    ordered = np.sort(starts)
    assert np.all(np.diff(ordered) == context)  # no two overlap, none is missing
    assert ordered[0] >= 0
    assert ordered[0] < context or per_epoch == 1
    assert ordered[-1] + context + 1 <= n_tokens


def test_epochs_differ_in_order_and_in_cuts() -> None:
    order = SequenceOrder(10_000, 64, seed=3)
    epochs = [order.starts(np.arange(e * order.per_epoch, (e + 1) * order.per_epoch)) for e in range(20)]
    assert len({tuple(starts // 64) for starts in epochs}) == 20
    assert len({int(starts.min()) for starts in epochs}) > 10


def test_a_text_of_exactly_one_sequence_will_do() -> None:
    assert SequenceOrder(9, 8, seed=0).starts(np.arange(5)).tolist() == [0] * 5
    with pytest.raises(ValueError, match="8 tokens make no sequence of 8"):
        SequenceOrder(8, 8, seed=0)


def test_targets_are_the_next_tokens() -> None:
    tokens, targets = step_batch(text(500), 3, 4, 2)
    assert tokens.shape == targets.shape == (2, 2, 8)
    assert tokens.dtype == targets.dtype == torch.int64
    assert tokens.is_contiguous()
    assert targets.is_contiguous()
    assert torch.equal(targets, tokens + 1)
    assert torch.equal(tokens[..., 1:], tokens[..., :-1] + 1)


@quick
@given(st.integers(0, 10_000), SEEDS, st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_micro_batches_do_not_change_a_step(step: int, seed: int, batch_size: int) -> None:
    source = text(700, seed=seed)
    whole = step_batch(source, step, 12, 12)
    cut = step_batch(source, step, 12, batch_size)
    for a, b in zip(whole, cut, strict=True):
        assert b.shape == (12 // batch_size, batch_size, 8)
        assert torch.equal(a.reshape(12, 8), b.reshape(12, 8))


@quick
@given(st.integers(0, 10_000), st.sampled_from([(1, 1), (2, 3), (3, 2), (4, 3), (6, 2)]))
def test_ranks_share_a_step_between_them(step: int, shape: tuple[int, int]) -> None:
    world, batch = shape
    source = text(700)
    whole, _ = step_batch(source, step, 12, 12)
    parts = [step_batch(source, step, 12, batch, rank, world)[0] for rank in range(world)]
    assert all(part.shape == (12 // world // batch, batch, 8) for part in parts)
    assert torch.equal(torch.cat([part.reshape(-1, 8) for part in parts]), whole.reshape(12, 8))


def test_steps_follow_each_other_without_gap_or_repeat() -> None:
    source = text(8 * 101 + 1)  # 100 sequences an epoch
    starts = [int(s) for step in range(40) for s in step_batch(source, step, 10, 5)[0][..., 0].flatten()]
    assert [len(set(starts[e : e + 100])) for e in range(0, 400, 100)] == [100] * 4


def test_a_step_may_reach_over_the_end_of_an_epoch() -> None:
    source = text(8 * 11 + 1)  # 10 sequences an epoch
    first = step_batch(source, 0, 10, 10)[0][..., 0].flatten().tolist()
    across = step_batch(source, 1, 8, 8)[0][..., 0].flatten().tolist()
    assert across[:2] == first[8:]


def test_blocks_far_apart_agree_with_a_fresh_start() -> None:
    """What is kept between calls must not show."""
    source = text(5000)
    visited = {n: step_batch(source, n, 12, 12)[0] for n in (0, 10**6, 340, 341, 342, 5, 10**9, 0)}
    for n, tokens in visited.items():
        assert torch.equal(tokens, step_batch(text(5000), n, 12, 12)[0])


def test_seeds_differ() -> None:
    orders = {tuple(SequenceOrder(10_000, 64, seed).starts(np.arange(20)).tolist()) for seed in range(50)}
    assert len(orders) == 50


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="step -1 does not exist"):
        step_batch(text(500), -1, 4, 4)


@quick
@given(st.integers(2, 300), st.integers(1, 40))
def test_validation_predicts_every_token_but_the_first_once(n_val: int, context: int) -> None:
    source = text(500, context=context, n_val=n_val)
    tokens, targets = source.val(0, source.n_val)
    assert tokens.shape == (source.n_val, context)
    counted = targets >= 0
    assert targets[counted].tolist() == list(range(1, n_val))
    assert np.array_equal(tokens[counted] + 1, targets[counted])
    assert source.val_stream(7).tolist() == list(range(min(7, n_val)))


@quick
@given(st.integers(2, 400), st.integers(1, 40), st.integers(1, 420), st.integers(0, 2**63))
def test_a_part_of_validation_is_random_windows(n_val: int, context: int, wanted: int, key: int) -> None:
    val = np.arange(n_val, dtype=np.uint32)
    made = [TextSequences(np.arange(500), val, context, seed, val_tokens=wanted, val_key=key) for seed in (1, 2)]
    source = made[0]
    tokens, targets = source.val(0, source.n_val)
    counted = targets >= 0
    assert counted.sum() == min(wanted, n_val - 1)
    assert len(set(targets[counted].tolist())) == counted.sum()  # none twice
    assert np.array_equal(tokens[counted] + 1, targets[counted])
    assert np.array_equal(made[1].val(0, source.n_val)[1], targets)  # whatever the seed of the run
    if source.windows is None:
        assert targets[counted].tolist() == list(range(1, min(wanted, n_val - 1) + 1))
    else:
        assert len(source.windows) == source.n_val == -(-wanted // context)
    assert source.val_stream(7).tolist() == list(range(min(7, n_val)))


def test_windows_lie_all_over_the_held_out_text() -> None:
    """In a text whose blocks differ the mean over windows is that of the text; over its first tokens it is not."""
    values = np.repeat(np.random.default_rng(0).random(50), 4000)
    for key in range(20):
        windows = random_windows(len(values), 64, 6400, key)
        assert windows is not None
        assert values[windows * 64].mean() == pytest.approx(values.mean(), abs=0.12)
        assert values[windows[:50] * 64].mean() == pytest.approx(values.mean(), abs=0.17)
    drawn = {tuple(w) for key in range(20) if (w := random_windows(len(values), 64, 6400, key)) is not None}
    assert len(drawn) == 20


def test_made_sequences_mark_what_does_not_count() -> None:
    def make(split: str, indices: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        ids = indices[:, None] * 100 + np.arange(length + 1) + (50 if split == "val" else 0)
        return ids, np.broadcast_to(np.arange(length) % 2 == 0, (len(indices), length))

    source = SyntheticSequences(make, 4, n_val=3)
    tokens, targets = step_batch(source, 5, 2, 1)
    assert tokens[:, 0].tolist() == [[1000, 1001, 1002, 1003], [1100, 1101, 1102, 1103]]
    assert targets[0, 0].tolist() == [1001, -1, 1003, -1]
    assert source.val(1, 3)[0][:, 0].tolist() == [150, 250]
    assert source.val_stream(6).tolist() == [50, 51, 52, 53, 150, 151]
    assert source.per_epoch is None
