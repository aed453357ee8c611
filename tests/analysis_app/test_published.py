"""A GPT-2 as `transformers` writes it, lying among the runs, opens like one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch

from analysis_app.analyses.anatomy.parts import anatomy
from analysis_app.analyses.embeddings import embedding_map
from analysis_app.analyses.neurons import neuron_examples
from analysis_app.analyses.position_loss import position_loss
from analysis_app.analyses.reproduction import reproduction
from analysis_app.analyses.training_norms import training_norms
from analysis_app.library import Library
from analysis_app.page.tabs import TABS
from scripts.page_server import Server, start_server
from tests.analysis_app.conftest import Person

NAME = "gpt2-tiny"
TEXT = "to be or not to be"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of runs and the model of theirs in it, with a vocabulary learned by their tokenizer."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    folder = tmp_path_factory.mktemp("published") / NAME
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator([TEXT, "the cat sat"], vocab_size=270, min_frequency=1, show_progress=False)
    folder.mkdir()
    learner.save_model(str(folder))
    tokenizer = GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 32, "vocab_size": len(tokenizer)}
    model = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.2)).eval()
    model.save_pretrained(folder)
    return folder.parent, model


def test_its_numbers_are_theirs(theirs: tuple[Path, Any]) -> None:
    folder, model = theirs
    library = Library(folder)
    assert [(run.name, run.kind, run.state) for run in library.runs()] == [(NAME, "folder", "published")]
    view = anatomy(library.open(NAME), text=TEXT)
    with torch.no_grad():
        out = model(torch.tensor([view["source"].ids]), output_hidden_states=True)
    np.testing.assert_allclose(view["top_logits"], out.logits[0].topk(10).values, atol=1e-4)
    # Theirs lists the stream before each block, and last what the final norm has made of it.
    for layer in range(2):
        stream = next(part for part in view["parts"] if part.site == f"blocks.{layer}.hook_resid_post")
        if layer == 0:
            assert stream.numbers is not None
            np.testing.assert_allclose(stream.numbers.norms, out.hidden_states[1][0].norm(dim=-1), rtol=1e-4)
    assert view["n_parameters"] == sum(weight.numel() for weight in model.parameters())
    assert reproduction(library.open(NAME))["reproduces"] is None


@pytest.fixture(scope="module")
def converted(runs: Path, tmp_path_factory: pytest.TempPathFactory, loaded) -> Library:
    from lab.exporting import save_gpt2

    model, tokenizer = loaded
    folder = tmp_path_factory.mktemp("published")
    save_gpt2(model, folder / "gpt")
    (folder / "gpt" / "tokenizer.json").write_text(tokenizer.to_json())
    return Library(folder)


def test_what_a_published_model_lacks_is_said(converted: Library) -> None:
    assert embedding_map(converted, "gpt")["points"].shape[1] == 2
    for ask in (neuron_examples, position_loss):
        with pytest.raises(ValueError, match="no validation text"):
            ask(converted.open("gpt"))
    with pytest.raises(ValueError, match="there are no gradient norms"):
        training_norms(converted, "gpt")


@pytest.fixture(scope="module")
def published(theirs: tuple[Path, Any]) -> Iterator[Server]:
    found = start_server(theirs[0])
    yield found
    found.stop()


@pytest.mark.browser
def test_every_tab_shows_it_or_says_why_not(person: Person, published: Server) -> None:
    person.url = published.url
    page = person.page
    for tab in TABS:
        person.open(tab, run=NAME, text=quote(TEXT))
        person.settled()
        for panel in page.locator('.tabitem .lab-panel[data-state="empty"]:visible').all():
            assert len(str(panel.text_content())) > 60, f"{tab}: an empty panel that does not say why"
    assert page.locator("#lab-selection-panel input[type=range]").is_disabled()
    assert "published model" in str(page.text_content("#lab-selection-panel"))
