"""Configurations of runs side by side: the settings that differ, and runs of one configuration under several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SEEDS = ("seed_everything", "data.seed")
IRRELEVANT = ("run.", "tensorboard", "wandb")  # beginnings of settings that change where a run lies and is shown
PLACES = ("data.cache_dir", "data.data_dir")
WATCHING = (
    *("log.", "validation.", "snapshots.", "checkpoint.", "throughput.", "gradient_noise.", "activation_histograms."),
    *("probes.", "attention_maps.", "samples.", "doctor.", "audit.", "predict."),
)
"""Beginnings of settings that change how closely a run is measured. Each step seeds itself, so they change no loss."""


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level of dotted names; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def config_differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dotted setting → {run: value} for every setting that is not the same in all.

    A run that does not have the setting is left out of its values.

    >>> config_differences({"a": {"model": {"n_layers": 4}}, "b": {"model": {"n_layers": 6}}})
    {'model.n_layers': {'a': 4, 'b': 6}}
    """
    flat = {run: flatten(config) for run, config in configs.items()}
    names = sorted({name for settings in flat.values() for name in settings})
    found = {name: {run: settings[name] for run, settings in flat.items() if name in settings} for name in names}
    return {
        name: values
        for name, values in found.items()
        if len(values) < len(flat) or any(not _same(value, next(iter(values.values()))) for value in values.values())
    }


def changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted setting → (before, after) where the values differ; a setting that one of them lacks counts as null."""
    old, new = flatten(before), flatten(after)
    names = [name for name in dict.fromkeys([*old, *new]) if not name.startswith(IRRELEVANT)]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


@dataclass(frozen=True)
class Group:
    """Runs of one configuration: they differ in their seeds alone. `seeds`: run → (weights', data's)."""

    runs: tuple[str, ...]
    seeds: dict[str, tuple[Any, Any]]


def group_by_configuration(configs: Mapping[str, Mapping[str, Any] | None]) -> list[Group]:
    """Put runs together whose configurations differ only in `SEEDS`, in the order in which they are given.

    A run whose configuration is not known (None) is alone.

    Examples:
        >>> a, b = {"seed_everything": 1, "lr": 0.1}, {"seed_everything": 2, "lr": 0.1}
        >>> [group.runs for group in group_by_configuration({"a": a, "b": b, "c": {"lr": 0.2}})]
        [('a', 'b'), ('c',)]
    """
    found: dict[str, list[str]] = {}
    seeds: dict[str, tuple[Any, Any]] = {}
    for run, config in configs.items():
        flat = flatten(config or {})
        seeds[run] = (flat.get(SEEDS[0]), flat.get(SEEDS[1]))
        rest = {name: value for name, value in flat.items() if matters(name) and name not in SEEDS}
        # `repr` keeps true and 1 apart, and takes whatever a YAML may hold.
        key = repr(sorted(rest.items(), key=lambda item: item[0])) if config is not None else f"unknown: {run}"
        found.setdefault(key, []).append(run)
    return [Group(tuple(runs), {run: seeds[run] for run in runs}) for runs in found.values()]


def matters(setting: str) -> bool:
    """Whether a setting changes the result of a run, and not only its place or how closely it is measured."""
    return is_choice(setting) and not setting.startswith(WATCHING)


def is_choice(setting: str) -> bool:
    """Whether a setting describes the run, and not the place of it or its data."""
    return not setting.startswith(IRRELEVANT) and setting not in PLACES


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)  # True == 1, but not as a setting
