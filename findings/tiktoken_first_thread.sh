#!/usr/bin/env bash
# tiktoken 0.14.0: an Encoding belongs to the first thread that uses it; in every other it costs a third more.
#
# The source keeps a clone of the regular expression for each thread, so that threads do not contend for its scratch
# space. The clones share it all the same: the thread that used the Encoding first finds its own at once, every other
# takes it from a pool behind a lock, at each word. No two threads need run at the same time for that: below they run
# one after the other, and processor time is compared. `encode_batch` and `encode_ordinary_batch` start new threads at
# each call, so of their threads at most one is ever the first. A new Encoding made for each thread costs nothing more.
#
# Seen 2026-11-28 on an AMD EPYC, Python 3.11.7:
#   first thread 1.00, a later thread 1.34, a later thread with an Encoding of its own 1.00
#
# Exits 0 while it is so, 1 when a later thread costs less than 1.15 times the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tiktoken==0.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import threading
import time

import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

TEXT = "def answer(question):\n    return [word for word in question.split() if word]\n" * 50


def encoding():
    """GPT-2's words over the 256 bytes: nothing to download, and the words are what takes the time."""
    ranks = {bytes([i]): i for i in range(256)}
    return tiktoken.Encoding("bytes", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})


def seconds(encode):
    """Processor time of a new thread that encodes."""
    spent = []

    def work():
        begin = time.thread_time()
        for _ in range(400):
            encode(TEXT)
        spent.append(time.thread_time() - begin)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return spent[0]


rounds = []
for _ in range(7):
    shared = encoding()
    rounds.append([seconds(shared.encode_ordinary), seconds(shared.encode_ordinary), seconds(encoding().encode_ordinary)])
first, later, own = (min(times) for times in zip(*rounds))
print(f"first thread 1.00, a later thread {later / first:.2f}, "
      f"a later thread with an Encoding of its own {own / first:.2f}")
sys.exit(later / first < 1.15)
PYTHON
