"""Names of sites, and the taps that look and touch."""

from __future__ import annotations

import pytest
import torch

from lab.interp import Chain, Edit, Recorder, Sites, run_with_cache
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.fixture(scope="module")
def sites() -> Sites:
    return Sites(lively(CONFIG))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("blocks.1.attn.hook_pattern", ["blocks.1.attn.hook_pattern"]),
        ("blocks.-1.attn.hook_pattern", ["blocks.1.attn.hook_pattern"]),
        ("pattern", ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"]),
        ("hook_pattern", ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"]),
        ("attn.pattern", ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"]),
        ("mlp.post", ["blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post"]),
        ("ln2.normalized", ["blocks.0.ln2.hook_normalized", "blocks.1.ln2.hook_normalized"]),
        ("*embed", ["hook_embed", "hook_pos_embed"]),
        (("logits", "embed"), ["hook_embed", "logits"]),
        (lambda name: name.endswith("0.hook_resid_mid"), ["blocks.0.hook_resid_mid"]),
    ],
)
def test_names_choose_sites_in_the_order_of_computation(sites: Sites, asked: object, found: list[str]) -> None:
    assert sites.select(asked) == found  # type: ignore[arg-type]


def test_no_names_are_all_names(sites: Sites) -> None:
    assert sites.select(None) == [*lively(CONFIG).hook_names(), "logits"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("patern", "no site 'patern': did you mean pattern"),
        ("blocks.0.attn.hook_patern", "did you mean blocks.0.attn.hook_pattern"),
        ("xyzzy", "model.hook_names"),
        ("blocks.7.attn.hook_pattern", "layer 7: there are 2, from 0 to 1"),
        ("blocks.0.hook_embed", "no site"),
        ("nothing*", "fits none"),
        ("rot_q", "only models with positions: rope do"),
        ("blocks.0.mlp.hook_pre_linear", "only models with mlp: swiglu do"),
        ([], "names is empty"),
        (lambda name: False, "true for none"),
    ],
)
def test_unknown_names_are_refused(sites: Sites, asked: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sites.select(asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("pattern", "in every layer: say which one"),
        (("normalized", 0), "could be any of blocks.0.ln1.hook_normalized, blocks.0.ln2.hook_normalized"),
        (("embed", 0), "outside the layers"),
        (("pattern", 2), "layer 2: there are 2"),
    ],
)
def test_one_site_must_be_one(sites: Sites, site: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sites.one(site)  # type: ignore[arg-type]


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_every_site_is_found_by_its_full_name_and_recorded(config: GPTConfig) -> None:
    model = lively(config).eval()
    recorder = Recorder(model)
    with torch.no_grad():
        model(random_tokens(config), tap=recorder)
    assert list(recorder.activations) == model.hook_names()
    assert all(Sites(model).one(name) == name for name in model.hook_names())


def test_a_recording_is_a_copy() -> None:
    model = GPT(CONFIG).eval()
    recorder = Recorder(model, "pos_embed")
    model(random_tokens(CONFIG), tap=recorder)
    with torch.no_grad():
        model.position_embedding.weight.zero_()  # type: ignore[union-attr, operator]
    assert recorder.activations["hook_pos_embed"].abs().sum() > 0


def test_an_edit_is_given_a_copy() -> None:
    model = GPT(CONFIG).eval()
    weights = {name: x.clone() for name, x in model.state_dict().items()}
    model(random_tokens(CONFIG, batch=1), tap=Edit(model, {"*embed": lambda x: x.zero_()}))
    assert all(torch.equal(x, weights[name]) for name, x in model.state_dict().items())


def test_an_edit_flows_on_and_is_recorded() -> None:
    model = lively(CONFIG)
    tokens = random_tokens(CONFIG)
    edit = Edit(model, {("attn_out", 0): torch.zeros_like})
    cache = run_with_cache(model, tokens, edit=edit)
    assert cache["attn_out", 0].abs().max() == 0
    assert torch.equal(cache["resid_mid", 0], cache["resid_pre", 0])
    assert not torch.equal(cache.logits, run_with_cache(model, tokens).logits)


def test_bad_edits_are_refused() -> None:
    model = lively(CONFIG)
    with pytest.raises(ValueError, match="did you mean"):
        Edit(model, {"attn_uot": torch.zeros_like})
    with pytest.raises(ValueError, match="edited twice"):
        Edit(model, {"attn_out": torch.zeros_like, ("attn_out", 1): torch.ones_like})
    with pytest.raises(ValueError, match="model's result"):
        Edit(model, {"logits": torch.zeros_like})
    with pytest.raises(ValueError, match=r"blocks.0.hook_attn_out"):  # of another shape
        run_with_cache(model, random_tokens(CONFIG), edit=Edit(model, {("attn_out", 0): lambda x: x[:, :1]}))


def test_a_chain_shows_each_tap_what_the_one_before_let_on() -> None:
    seen = []

    def everything(name: str, x: torch.Tensor) -> torch.Tensor:  # a tap without `wants` is shown all
        seen.append(name)
        return x

    model = lively(CONFIG).eval()
    recorder = Recorder(model, "embed")
    double = Edit(model, {"embed": lambda x: 2 * x})
    tokens = random_tokens(CONFIG)
    model(tokens, tap=Chain(double, recorder, everything))
    assert torch.equal(recorder.activations["hook_embed"], 2 * model.token_embedding(tokens))
    assert seen == model.hook_names()
