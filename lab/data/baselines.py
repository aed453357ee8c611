"""Losses of predictors that need no training, to compare a model with.

- **uniform**: every token equally likely, ln(vocab_size). Where every model starts.
- **unigram**: how often each token occurs in the training text. Below it: the model knows which tokens are
  common.
- **bigram**: the token before the one to predict. Below it: the model uses more context than its neighbour.
- **xz**: the validation text alone as `xz -9` packs it, in bits per byte. It starts cold, a model does not.
- **xz_trained**: what `xz -9` needs for validation text behind training text, less what it needs for that: xz that has
  seen training text, as far as is given to it. Below it: the model has learned something that general purpose
  compression has not.
- **floor**: the entropy of a made corpus; no predictor gets below it.

Counts are taken over the training tokens and scored on the tokens that validation predicts, all of the held-out text or
random windows of it; xz packs the held-out text in one piece. Both smoothings have one strength, and it
is the one of a fixed grid that scores best on the validation tokens: that favours the baseline, a little, and never the
model.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lab.data.batches import Sequences

Pairs = Iterable[tuple[np.ndarray, np.ndarray]]  # chunks of (token before, token to predict), equally long

TRAIN_TOKENS = 20_000_000  # of longer texts, this many evenly spread over them are counted: seconds, bounded memory
VAL_TOKENS = 2_000_000  # likewise
XZ_BYTES = 4_000_000  # of the beginning of the validation text: about 3 s
# The end of the training text and the beginning of the validation text: about 3 s. Twice the training text takes 0.04
# of 1.39 bits per byte off (the standard library's source), and three times as long.
SEEN_BYTES, PACKED_BYTES = 2_000_000, 1_000_000
# Bytes packed on their own, and how many times at most. What xz needs falls with the length of a text, by a tenth from
# 64 KB to 4 MB, so two texts compare only at one length.
WINDOW, WINDOWS = 1 << 16, 16
SYNTHETIC_SEQUENCES = 2048
_CHUNK = 1 << 18
_UNIGRAM_GRID = (0.001, 0.01, 0.1, 1.0)
_BIGRAM_GRID = tuple(2.0**i for i in range(-2, 17))


def stream_pairs(tokens: np.ndarray, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Neighbouring tokens of a stream in chunks; of more than `limit`, chunks evenly spread over it."""
    n = len(tokens) - 1
    every = max(1.0, n / limit)
    start = 0.0
    while start < n:
        at = int(start)
        chunk = np.asarray(tokens[at : min(at + _CHUNK, n) + 1]).astype(np.int64)
        yield chunk[:-1], chunk[1:]
        start += _CHUNK * every


def token_baselines(train: Pairs, val: Pairs, byte_lengths: np.ndarray) -> dict[str, dict[str, float]]:
    """Losses of uniform, unigram and bigram on the validation pairs: `{"nats_per_token": {...}, "bits_per_byte":
    {...}}`.

    `byte_lengths` `[vocab_size]` says how many bytes each id stands for. The bigram is smoothed with the unigram:
    P(b|a) = (c(ab) + k·P(b)) / (c(a) + k), a Dirichlet prior (MacKay and Peto 1995); the unigram is P(b) = (c(b) + α) /
    (N + αV). Memory: the distinct pairs of the validation tokens and three arrays of vocab_size, since a pair that
    never occurs there never counts.
    """
    vocab_size = len(byte_lengths)
    before, following = (np.concatenate(side) for side in zip(*val, strict=True))
    keys, times = np.unique(before * vocab_size + following, return_counts=True)
    counts = np.zeros(vocab_size, dtype=np.int64)
    contexts = np.zeros(vocab_size, dtype=np.int64)
    joint = np.zeros(len(keys), dtype=np.int64)
    for a, b in train:
        counts += np.bincount(b, minlength=vocab_size)
        contexts += np.bincount(a, minlength=vocab_size)
        found, found_times = np.unique(a * vocab_size + b, return_counts=True)
        at = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        hit = keys[at] == found
        joint[at[hit]] += found_times[hit]

    val_counts = np.bincount(following, minlength=vocab_size)
    n = len(following)

    def unigram(alpha: float) -> np.ndarray:
        return (counts + alpha) / (counts.sum() + alpha * vocab_size)

    def unigram_loss(alpha: float) -> float:
        return float(-(val_counts * np.log(unigram(alpha))).sum() / n)

    alpha = min(_UNIGRAM_GRID, key=unigram_loss)
    prior, given = unigram(alpha)[keys % vocab_size], contexts[keys // vocab_size]

    def bigram_loss(k: float) -> float:
        return float(-(times * np.log((joint + k * prior) / (given + k))).sum() / n)

    nats = {
        "uniform": math.log(vocab_size),
        "unigram": unigram_loss(alpha),
        "bigram": min(map(bigram_loss, _BIGRAM_GRID)),
    }
    bytes_per_token = float((val_counts * byte_lengths).sum() / n)
    return {"nats_per_token": nats, "bits_per_byte": {k: bits_per_byte(v, bytes_per_token) for k, v in nats.items()}}


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    """A loss that compares across vocabularies: nats per token / ln 2 / bytes per token."""
    return nats_per_token / math.log(2) / bytes_per_token


def xz_bits_per_byte(text: bytes) -> float:
    """Bits `xz -9` needs per byte of `text`.

    The dictionary is cut to the text's length: the same packing, without the 674 MB that preset asks for.
    """
    return 8 * _packed_size(text, len(text)) / len(text)


def xz_trained_bits_per_byte(seen: bytes, text: bytes) -> float:
    """Bits `xz -9` needs more per byte of `text` where it comes behind `seen`, all of which stays in its dictionary.

    At most some bytes above 0 by the way a block ends, so texts of a few bytes mean nothing.
    """
    whole = len(seen) + len(text)
    return 8 * (_packed_size(seen + text, whole) - _packed_size(seen, whole)) / len(text)


def _packed_size(text: bytes, window: int) -> int:
    """Bytes `xz -9` makes of `text`, with a dictionary of at least `window` bytes, at most its own 64 MiB."""
    size = max(1 << 12, 1 << (window - 1).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": min(size, 1 << 26)}]
    return len(lzma.compress(text, filters=filters))


def windows_bits_per_byte(text: bytes) -> float:
    """Bits `xz -9` needs per byte of a text cut into windows, each packed on its own."""
    # A last window of less than half is left out: the shorter a text, the more xz needs for it.
    starts = range(0, max(1, min(len(text), WINDOW * WINDOWS) - WINDOW // 2), WINDOW)
    windows = [text[start : start + WINDOW] for start in starts]
    return sum(xz_bits_per_byte(w) * len(w) for w in windows) / sum(map(len, windows))


def synthetic_baselines(sequences: Sequences, byte_lengths: np.ndarray, entropy: float | None) -> dict[str, Any]:
    """The same for a made corpus, over the targets that count, and its entropy, where known, as "floor"."""

    def pairs(tokens: np.ndarray, targets: np.ndarray) -> Pairs:
        return [(tokens[targets >= 0], targets[targets >= 0])]

    val = sequences.val(0, sequences.n_val)
    found: dict[str, Any] = token_baselines(
        pairs(*sequences.train(np.arange(SYNTHETIC_SEQUENCES))), pairs(*val), byte_lengths
    )
    if entropy is not None:
        found["nats_per_token"]["floor"] = entropy
        bytes_per_token = float(byte_lengths[val[1][val[1] >= 0]].mean())
        found["bits_per_byte"]["floor"] = bits_per_byte(entropy, bytes_per_token)
    return {**found, "method": {"train_sequences": SYNTHETIC_SEQUENCES, "val_sequences": sequences.n_val}}


def text_baselines(
    train: np.ndarray,
    val: np.ndarray,
    byte_lengths: np.ndarray,
    decode_bytes: Callable[[np.ndarray], bytes],
    windows: Callable[[], Pairs] | None = None,
) -> dict[str, Any]:
    """All baselines of a text corpus, from its two token streams.

    As `token_baselines`, and "xz" in both units: its nats per token are what its bits come to for each of the tokens it
    packed, the first of the held-out text. "windows" are the nats per token where it packs 64 KB at a time. `windows`
    gives the pairs that validation predicts where that is not all of `val`. "xz_trained" packs the beginning of the
    held-out text behind the end of the training text; "method" says how much of either.
    """
    val_pairs = list(stream_pairs(val, VAL_TOKENS) if windows is None else _first_pairs(windows(), VAL_TOKENS))
    # In one piece, also where validation reads windows: cut into these, a text has few of the repetitions xz finds.
    chunks = (val[i : i + _CHUNK] for i in range(0, len(val), _CHUNK))
    found: dict[str, Any] = token_baselines(stream_pairs(train, TRAIN_TOKENS), val_pairs, byte_lengths)
    text, n_tokens = _first_bytes(chunks, byte_lengths, decode_bytes, XZ_BYTES)
    seen = begin = b""
    if text:
        packed, nats = xz_bits_per_byte(text), math.log(2) * len(text) / n_tokens
        found["bits_per_byte"]["xz"] = packed
        found["nats_per_token"]["xz"] = packed * nats
        found["windows"] = windows_bits_per_byte(_spread_bytes(val, byte_lengths, decode_bytes)) * nats
        seen = _last_bytes(train, byte_lengths, decode_bytes, SEEN_BYTES)
        begin, n_begin = _first_bytes([val[:PACKED_BYTES]], byte_lengths, decode_bytes, PACKED_BYTES)
        behind = xz_trained_bits_per_byte(seen, begin)
        found["bits_per_byte"]["xz_trained"] = behind
        found["nats_per_token"]["xz_trained"] = behind * math.log(2) * len(begin) / n_begin
    found["method"] = {
        "train_tokens": min(len(train) - 1, TRAIN_TOKENS),
        "val_tokens": sum(len(targets) for _, targets in val_pairs),
        "xz_bytes": len(text),
        "unigram": "train counts, add-alpha",
        "bigram": "train counts, Dirichlet prior over the unigram",
        "xz": "xz -9 of the validation text alone",
        "xz_trained": "xz -9 of training and validation text, less that of the training text",
        "xz_seen_bytes": len(seen),
        "xz_trained_bytes": len(begin),
    }
    return found


def _first_pairs(pairs: Pairs, limit: int) -> Pairs:
    """The first of the pairs, about `limit` of them."""
    taken = 0
    for before, targets in pairs:
        yield before, targets
        taken += len(targets)
        if taken >= limit:
            return


def _spread_bytes(val: np.ndarray, byte_lengths: np.ndarray, decode_bytes: Callable[[np.ndarray], bytes]) -> bytes:
    """The text if it is short; of a longer one `WINDOWS` stretches of `WINDOW` bytes, evenly spread over it."""
    parts = [val[i * len(val) // WINDOWS :][:WINDOW] for i in range(WINDOWS)] if len(val) > WINDOW * WINDOWS else [val]
    most = WINDOW if len(parts) > 1 else WINDOW * WINDOWS
    return b"".join(_first_bytes([part], byte_lengths, decode_bytes, most)[0] for part in parts)


def _last_bytes(
    stream: np.ndarray, byte_lengths: np.ndarray, decode_bytes: Callable[[np.ndarray], bytes], most: int
) -> bytes:
    """About the last `most` bytes of a text, end-of-text ids left out."""
    ids = np.asarray(stream[-most:])
    ids = ids[np.cumsum(byte_lengths[ids][::-1])[::-1] <= most]
    return decode_bytes(ids[byte_lengths[ids] > 0])


def _first_bytes(
    chunks: Iterable[np.ndarray], byte_lengths: np.ndarray, decode_bytes: Callable[[np.ndarray], bytes], most: int
) -> tuple[bytes, int]:
    """The first `most` bytes of a text, end-of-text ids left out, and how many tokens they take."""
    text, n_tokens = bytearray(), 0
    for chunk in chunks:
        ids = np.asarray(chunk)
        ids = ids[np.cumsum(byte_lengths[ids]) <= most - len(text)]
        if not len(ids):
            break
        text += decode_bytes(ids[byte_lengths[ids] > 0])
        n_tokens += len(ids)
    return bytes(text), n_tokens
