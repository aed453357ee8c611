"""What the audit measures, on batches made by hand."""

from __future__ import annotations

import numpy as np
import torch

from lab.callbacks.audit import batch_facts, stands_in


def test_shifted_unshifted_and_late_labels() -> None:
    ids = torch.randint(0, 50, (1, 4, 17), generator=torch.Generator().manual_seed(0))
    tokens, targets = ids[..., :-1], ids[..., 1:]
    right = batch_facts(tokens, targets)
    assert right["audit/next_targets"] == 1
    assert right["audit/same_targets"] < 0.2
    assert batch_facts(tokens, tokens)["audit/same_targets"] == 1
    late = torch.cat([targets[..., 1:], torch.full_like(targets[..., :1], -1)], dim=-1)
    assert batch_facts(tokens, late)["audit/next_targets"] < 0.2
    only_some = torch.where(torch.arange(16) % 2 == 0, targets, -1)
    assert batch_facts(tokens, only_some)["audit/next_targets"] == 1, "what does not count is not counted"


def test_sequences_in_the_order_of_the_text_are_seen() -> None:
    stream = torch.arange(65)
    tokens, targets = stream[:-1].reshape(1, 4, 16), stream[1:].reshape(1, 4, 16)
    assert batch_facts(tokens, targets)["audit/consecutive"] == 1
    assert batch_facts(tokens[:, [2, 0, 3, 1]], targets[:, [2, 0, 3, 1]])["audit/consecutive"] == 0
    assert "audit/consecutive" not in batch_facts(tokens[:, :1], targets[:, :1])


def test_a_stretch_is_found_at_ids_and_not_between_them() -> None:
    text = np.array([1, 256, 1, 300, 301, 302], dtype=np.uint16).tobytes()
    assert stands_in(np.array([300, 301], dtype=np.uint16).tobytes(), text, 2)
    assert not stands_in(np.array([301, 300], dtype=np.uint16).tobytes(), text, 2)
    # 1, 256 is 01 00 00 01 in bytes: read from the second byte on it holds 00 00, the id 0.
    assert not stands_in(np.array([0], dtype=np.uint16).tobytes(), text, 2)
