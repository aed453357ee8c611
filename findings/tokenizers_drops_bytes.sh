#!/usr/bin/env bash
# tokenizers 0.23.3: a byte-level BPE trained without `initial_alphabet` drops what it has no byte for.
#
# `BpeTrainer(special_tokens=[…])` with the ByteLevel pre-tokenizer learns only the bytes that its text holds. Encoding a
# text with another byte neither fails nor gives an unknown token: the byte is left out, and decoding gives another text.
#
# Output seen (2026-11-28, Python 3.11, Linux):
#   'abba, ZEBRA!' -> 'abba ' ; with initial_alphabet: 'abba, ZEBRA!'
# Exits non-zero if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "tokenizers==0.23.3"
"$folder/venv/bin/python" - <<'PY'
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


def trip(text, **more):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False, **more)
    tokenizer.train_from_iterator(["abba baab"] * 4, trainer)
    return tokenizer.decode(tokenizer.encode(text).ids)


text = "abba, ZEBRA!"
lossy, whole = trip(text), trip(text, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
print(f"{text!r} -> {lossy!r} ; with initial_alphabet: {whole!r}")
assert whole == text
assert lossy != text, "the bytes are no longer dropped"
PY
