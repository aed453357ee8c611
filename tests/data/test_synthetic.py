"""Made corpora: their truth (entropy, what follows what); a sequence is a function of its number alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.data.synthetic import SYNTHETIC, Arithmetic, Copy, Induction, Markov, SyntheticCorpus
from lab.data.vocabulary import CharTokenizer

ALL = [
    *(kind() for kind in SYNTHETIC.values()),
    Markov(order=2, symbols=8),
    Induction(count="all"),
    Copy(count="all"),
    Arithmetic(count="all", digits=3),
]


def lines_of(corpus: SyntheticCorpus, split: str, n: int, length: int = 127) -> list[str]:
    """Whole lines of the first `n` sequences, as text."""
    ids, _ = corpus.sequences(split, range(n), length)  # type: ignore[arg-type]
    texts = ["".join(corpus.alphabet[i] for i in row) for row in ids]
    return [line for text in texts for line in text.split("\n")[:-1]]


@pytest.mark.parametrize("corpus", ALL, ids=lambda c: f"{c.name}-{getattr(c, 'count', c.seed)}")
class TestEveryCorpus:
    def test_shapes_and_range(self, corpus: SyntheticCorpus) -> None:
        ids, counts = corpus.sequences("train", [5, 0, 10**15], 64)
        assert ids.shape == (3, 65)
        assert ids.dtype == np.int64
        assert counts.shape == (3, 64)
        assert counts.dtype == bool
        assert ids.min() >= 0
        assert ids.max() < len(corpus.alphabet)
        assert counts.any(axis=1).all()

    def test_a_sequence_is_a_function_of_its_number(self, corpus: SyntheticCorpus) -> None:
        many, counted = corpus.sequences("val", np.arange(100, 140), 96)
        for i in (0, 7, 39):
            ids, counts = corpus.sequence("val", 100 + i, 96)
            assert np.array_equal(ids, many[i])
            assert np.array_equal(counts, counted[i])

    def test_splits_seeds_and_numbers_give_other_sequences(self, corpus: SyntheticCorpus) -> None:
        other = type(corpus)(seed=corpus.seed + 1)
        rows = [
            *corpus.sequences("train", range(200), 64)[0].tolist(),
            *corpus.sequences("val", range(200), 64)[0].tolist(),
            *other.sequences("train", range(200), 64)[0].tolist(),
        ]
        assert len({tuple(row) for row in rows}) == 600

    def test_char_tokenizer_shows_the_same_ids(self, corpus: SyntheticCorpus) -> None:
        tokenizer = CharTokenizer(corpus.alphabet)
        ids, _ = corpus.sequence("train", 0, 64)
        assert tokenizer.vocab_size == len(corpus.alphabet)
        assert np.array_equal(tokenizer.encode(tokenizer.decode(ids)), ids)
        assert all(c.isprintable() or c == "\n" for c in corpus.alphabet)

    def test_facts_are_json(self, corpus: SyntheticCorpus) -> None:
        facts = json.loads(json.dumps(corpus.describe()))
        assert facts["name"] == corpus.name
        assert facts["fingerprint"] == corpus.fingerprint()

    def test_too_short_a_context_is_refused(self, corpus: SyntheticCorpus) -> None:
        with pytest.raises(ValueError, match=f"data.context_length is 0: the corpus '{corpus.name}' needs"):
            corpus.sequences("train", [0], 0)


def test_every_process_makes_the_same() -> None:
    script = (
        "from lab.data.synthetic import SYNTHETIC\n"
        "print([kind().fingerprint() for kind in SYNTHETIC.values()])\n"
        "print([kind().sequences('val', range(3), 200)[0].sum() for kind in SYNTHETIC.values()])"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert str([kind().fingerprint() for kind in SYNTHETIC.values()]) in printed[0]


def test_fingerprints_tell_settings_apart() -> None:
    made = [
        *ALL,
        Markov(seed=1),
        Markov(concentration=0.5),
        Arithmetic(val_fraction=0.2),
        Induction(longest=20),
    ]
    assert len({corpus.fingerprint() for corpus in made}) == len(made)


def test_a_batch_is_made_in_a_moment() -> None:
    for kind in SYNTHETIC.values():
        corpus = kind()
        corpus.sequences("train", range(64), 64)
        begun = time.process_time()
        for i in range(20):
            corpus.sequences("train", range(64 * i, 64 * i + 64), 64)
        # About 1 ms each on a slow core; the bound leaves room for a machine under load.
        assert (time.process_time() - begun) / 20 < 0.01, corpus.name


class TestMarkov:
    def test_stationary_shares_are_the_eigenvector(self) -> None:
        corpus = Markov(symbols=16)
        values, vectors = np.linalg.eig(corpus.transitions.T)
        expected = np.real(vectors[:, np.argmax(np.real(values))])
        assert np.allclose(corpus.stationary, expected / expected.sum(), atol=1e-10)

    def test_stationary_shares_of_order_two_stay(self) -> None:
        corpus = Markov(order=2, symbols=5)
        step = np.zeros((25, 25))
        for a, b, c in np.ndindex(5, 5, 5):
            step[a * 5 + b, b * 5 + c] = corpus.transitions[a * 5 + b, c]
        assert np.allclose(corpus.stationary @ step, corpus.stationary, atol=1e-12)
        assert corpus.stationary.sum() == pytest.approx(1)

    @pytest.mark.parametrize(("order", "concentration"), [(1, 0.3), (1, 5.0), (2, 0.1), (3, 0.5)])
    def test_entropy_is_the_true_rules_loss(self, order: int, concentration: float) -> None:
        """The loss of the transition matrix itself on drawn sequences, over the targets that count."""
        corpus = Markov(order=order, symbols=8, concentration=concentration)
        ids, counts = corpus.sequences("train", range(4000), 64)
        state = np.zeros(len(ids), dtype=int)
        losses = []
        for t in range(64):
            state = (state * 8 + ids[:, t]) % 8**order
            if counts[:, t].all():
                losses.append(-np.log(corpus.transitions[state, ids[:, t + 1]]))
        measured = np.array(losses)
        assert measured.shape[0] == 64 - (order - 1)
        error = measured.mean(axis=0).std() / len(ids) ** 0.5
        assert corpus.entropy == pytest.approx(measured.mean(), abs=5 * error + 1e-6)
        assert 0 < corpus.entropy < np.log(8)

    def test_transitions_are_followed(self) -> None:
        corpus = Markov(symbols=4)
        ids, _ = corpus.sequences("val", range(3000), 64)
        seen = np.zeros((4, 4))
        np.add.at(seen, (ids[:, :-1].ravel(), ids[:, 1:].ravel()), 1)
        p, n = corpus.transitions, seen.sum(1, keepdims=True)
        assert np.all(np.abs(seen / n - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-4)
        assert np.allclose(np.bincount(ids[:, 0]) / 3000, corpus.stationary, atol=0.03)
        assert np.allclose(np.bincount(ids[:, -1]) / 3000, corpus.stationary, atol=0.03)

    def test_targets_without_their_context_do_not_count(self) -> None:
        _, counts = Markov(order=3, symbols=4).sequences("train", [0], 6)
        assert counts.tolist() == [[False, False, True, True, True, True]]

    def test_the_rule_is_the_same_in_both_splits_and_another_for_another_seed(self) -> None:
        assert not np.allclose(Markov(seed=1).transitions, Markov(seed=2).transitions)
        assert Markov(concentration=100.0).entropy == pytest.approx(np.log(32), rel=0.01)
        assert Markov(concentration=0.01).entropy < 0.5

    def test_the_largest_chain(self) -> None:
        corpus = Markov(order=16, symbols=2)
        ids, counts = corpus.sequences("train", range(8), 40)
        assert set(np.unique(ids)) <= {0, 1}
        assert counts.sum() == 8 * 25

    def test_bad_settings_are_told_at_once(self) -> None:
        with pytest.raises(ValueError, match=r"(?s)order is 0.*symbols is 1000.*concentration is -1"):
            Markov(order=0, symbols=1000, concentration=-1)
        with pytest.raises(ValueError, match=r"symbols\^order = 64\^4 = 16777216 states are too many"):
            Markov(order=4, symbols=64)
        with pytest.raises(ValueError, match="order is '1'"):
            Markov(order="1")  # type: ignore[arg-type]


class TestInduction:
    def test_blocks_repeat_without_a_symbol_twice(self) -> None:
        corpus = Induction()
        ids, counts = corpus.sequences("train", range(2000), 64)
        lengths = []
        for row, counted in zip(ids, counts, strict=True):
            n = next(n for n in range(1, 66) if row[n] == row[0])
            lengths.append(n)
            assert len(set(row[:n])) == n
            assert np.array_equal(row, np.resize(row[:n], 65))
            # Target t is symbol t + 1: certain once the first symbol has come again.
            assert np.array_equal(counted, np.arange(1, 65) > n)
        assert set(lengths) == set(range(8, 33))
        assert max(Counter(lengths).values()) < 2000 / 25 * 1.6

    def test_symbols_are_as_likely_everywhere(self) -> None:
        ids, _ = Induction().sequences("train", range(6400), 64)
        for position in (0, 7, 40):
            share = np.bincount(ids[:, position], minlength=64) / 6400
            assert np.abs(share - 1 / 64).max() < 0.01

    def test_all_count_when_asked(self) -> None:
        corpus = Induction(count="all")
        assert corpus.sequences("train", range(4), 64)[1].all()
        assert corpus.entropy is None
        assert Induction().entropy == 0.0

    def test_bad_settings(self) -> None:
        with pytest.raises(ValueError, match="shortest <= longest <= symbols"):
            Induction(symbols=16)
        with pytest.raises(ValueError, match="count is 'some'"):
            Induction(count="some")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="needs 33"):
            Induction().sequences("train", [0], 32)


class TestCopy:
    def test_lines_say_the_same_twice(self) -> None:
        lines = lines_of(Copy(), "train", 300)
        assert len(lines) > 1000
        for line in lines:
            first, second = line.split(">")
            assert first == second
            assert 2 <= len(first) <= 12
        assert {len(line) // 2 for line in lines} == set(range(2, 13))

    def test_what_counts_follows_from_what_came_before(self) -> None:
        corpus = Copy()
        ids, counts = corpus.sequences("val", range(50), 100)
        for row, counted in zip(ids, counts, strict=True):
            text = "".join(corpus.alphabet[i] for i in row)
            for t in range(100):
                line = text[: t + 1].rsplit("\n", 1)[-1]
                assert counted[t] == (">" in line)
                if counted[t]:
                    first, done = line.split(">")
                    assert text[t + 1] == (first + "\n")[len(done)]


class TestArithmetic:
    def test_the_sums_are_right(self) -> None:
        for digits in (1, 2, 4):
            for split in ("train", "val"):
                for line in lines_of(Arithmetic(digits=digits), split, 100):
                    problem, answer = line.split("=")
                    a, b = problem.split("+")
                    assert str(int(a) + int(b)) == answer
                    assert (str(int(a)), str(int(b))) == (a, b)
                    assert max(len(a), len(b)) <= digits

    def test_held_out_problems_are_never_trained_on(self) -> None:
        corpus = Arithmetic(val_fraction=0.2)
        asked = {split: {line.split("=")[0] for line in lines_of(corpus, split, 6000)} for split in ("train", "val")}
        assert not asked["train"] & asked["val"]
        assert len(asked["val"]) == pytest.approx(2000, rel=0.01)
        assert len(asked["train"]) == pytest.approx(8000, rel=0.01)
        first = Counter(int(problem.split("+")[0]) // 10 for problem in asked["val"])
        assert min(first.values()) > 150  # of 200, were they spread evenly

    def test_only_answers_count(self) -> None:
        corpus = Arithmetic()
        ids, counts = corpus.sequences("train", range(50), 64)
        for row, counted in zip(ids, counts, strict=True):
            text = "".join(corpus.alphabet[i] for i in row)
            for t in range(64):
                assert counted[t] == ("=" in text[: t + 1].rsplit("\n", 1)[-1])


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(SYNTHETIC)),
    seed=st.integers(-(2**70), 2**70),
    length=st.integers(33, 200),
    indices=st.lists(st.integers(0, 2**62), min_size=1, max_size=5),
)
def test_any_seed_number_and_length(kind: str, seed: int, length: int, indices: list[int]) -> None:
    corpus = SYNTHETIC[kind](seed=seed)
    ids, counts = corpus.sequences("train", indices, length)
    assert ids.shape == (len(indices), length + 1)
    assert counts.shape == (len(indices), length)
    assert ids.min() >= 0
    assert ids.max() < len(corpus.alphabet)
