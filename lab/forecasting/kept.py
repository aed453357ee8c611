"""Plans that were made are kept, so that the fit which follows can seal what was said.

One small JSON file for each configuration, in the cache, named by a hash of the settings that matter.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.data.cache import cache_root, keep
from lab.files import read_json, to_json
from lab.forecasting.law import Forecast
from lab.runs.configurations import IRRELEVANT, flatten

NO_EFFECT = (*IRRELEVANT, "predict.")  # beginnings of settings that neither cost nor loss depend on


def plan_path(settings: Mapping[str, Any], cache_dir: str | None = None) -> Path:
    """Where the plan of these settings lies: for this machine, since a plan is about its speed."""
    flat = {k: v for k, v in flatten(settings).items() if not k.startswith(NO_EFFECT)}
    text = json.dumps([platform.node(), sorted(flat.items())], default=str)
    return cache_root(cache_dir) / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def keep_plan(path: Path, forecasts: Mapping[str, Forecast]) -> None:
    """Write what was forecast, by quantity."""
    keep(path, to_json({"forecasts": {name: asdict(f) for name, f in forecasts.items()}}))


def kept_plan(path: Path) -> dict[str, Forecast]:
    """What `keep_plan` wrote; nothing where there is no plan, or a damaged one."""
    try:
        content = read_json(path) or {}
        return {name: Forecast(**f) for name, f in content.get("forecasts", {}).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
