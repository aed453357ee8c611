"""A text over the whole of a run: attention, losses and every head's scores at each snapshot, as a stream of plain
values, and what the run's own curves say about where to look.

Where the text is one of the run's probe texts, or the beginning of one, training has written all of it down: the
bundles in `probes/` are read and no model is asked. For any other text each snapshot is opened in turn; what was
computed is kept, so that it is computed once.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis_app.analyses import services
from analysis_app.analyses.token_labels import labels
from analysis_app.analyses.views import Array
from analysis_app.library.runs import Library, Opened
from lab import interp
from lab.data.tokenizers import Tokenizer
from lab.loading import list_weights
from lab.runs import CheckpointInfo, Run
from lab.runs.probes import encode_pattern, read_probe

MAX_FILM_BYTES = 96 * 2**20  # of patterns, one byte a number: what a browser holds of one text
MAX_KEPT_BYTES = 256 * 2**20  # of computed frames, over all texts and runs
FEWEST_FRAMES = 8
LEAST_FALL = 0.5  # nats: a token whose loss never fell by so much was not learned
SITES = (*interp.PATTERN_SITES, *interp.PREDICTION_SITES)


@dataclass(frozen=True)
class Frame:
    """One text at one snapshot."""

    step: int
    patterns: Array  # uint8 [layer, head, query, key] in square-root steps, see `lab.runs.probes`
    token_loss: Array  # float32 [pos-1] nats; entry t is for token t+1
    scores: Array  # float32 [score, layer, head]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.patterns.nbytes + self.token_loss.nbytes + self.scores.nbytes


@dataclass(frozen=True)
class Film:
    """What is known before the first frame.

    `origin`: "probe" (from the bundles) or "computed". `ready`: frames follow; else they would have to be computed,
    which nobody has asked for yet.
    """

    origin: str
    ready: bool
    tokens: list[str]
    ids: list[int]
    steps: list[int]  # of the frames to come
    score_names: list[str]
    score_explanations: list[str]
    score_chance: list[float | None]
    period: int | None  # of the repeated random tokens that three of the scores are measured on
    uniform_loss: float
    probe_texts: list[str]
    notes: list[str]


class Timeline:
    """Films of the runs in `library`; keeps what it computed."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._kept: OrderedDict[tuple[Path, str, tuple[int, ...]], Frame] = OrderedDict()
        self._repeated: dict[tuple[Path, str], list[services.Score]] = {}  # a few numbers a head, of any text
        self._lock = threading.Lock()

    def film(self, name: str, text: str | None = None, compute: bool = False) -> Iterator[dict[str, Any]]:
        """Events of one film: `start` (a `Film`), a `frame` or a `problem` for each snapshot, `end`.

        `compute=False`: snapshots are not opened; of a text that is no probe text only what was computed before is
        shown. Raises `ValueError` before the first event for what cannot be.
        """
        run = self.library.run(name)
        if not isinstance(run, Run):
            raise ValueError(f"{name} is a published model: one set of weights, and nothing of how it came to be")
        opened = self.library.open(name)
        text = services.default_text(opened) if text is None else text
        probes = Probes(run, opened.tokenizer)
        place = probes.find(text)
        return self._from_probes(probes, *place) if place else self._from_models(run, opened, text, probes, compute)

    def _from_probes(self, probes: Probes, index: int, n: int) -> Iterator[dict[str, Any]]:
        first, ids = probes.first, probes.ids[index][:n]
        steps, note = _thinned(list(probes.paths), first["patterns"][:, 0].nbytes)
        names = probes.score_names
        film = Film(
            origin="probe",
            ready=True,
            tokens=labels(probes.tokenizer, ids),
            ids=ids,
            steps=steps,
            score_names=names,
            score_explanations=[services.SCORES[name] for name in names],
            score_chance=[_number(first["score_chance"][i]) for i in probes.score_rows],
            period=int(first["period"]) if "period" in first else None,
            uniform_loss=math.log(probes.tokenizer.vocab_size),
            probe_texts=probes.texts,
            notes=[*note, "entropy, first token and distance are means over all of the run's probe texts"],
        )
        return _events(film, (lambda step=step: probes.frame(step, index, n) for step in steps))

    def _from_models(
        self, run: Run, opened: Opened, text: str, probes: Probes, compute: bool
    ) -> Iterator[dict[str, Any]]:
        source, config = services.read(opened, text, at_least=2), opened.model.config
        infos = {info.step: info for info in list_weights(run)}
        steps, note = _thinned(list(infos), config.n_layers * config.n_heads * len(source.ids) ** 2)
        newest = opened.loaded.info
        assert newest is not None  # a run's weights have facts
        scores = self._scores(opened, newest, source.ids)
        film = Film(
            origin="computed",
            ready=compute or all(self._recall(infos[step], source.ids) for step in steps),
            tokens=source.tokens,
            ids=source.ids,
            steps=steps,
            score_names=[score.name for score in scores],
            score_explanations=[score.explanation for score in scores],
            score_chance=[score.chance for score in scores],
            period=services.period_of(opened),
            uniform_loss=math.log(config.vocab_size),
            probe_texts=probes.texts,
            notes=[*note, *probes.problems],
        )
        return _events(film, (lambda info=infos[step]: self._computed(run, info, source.ids) for step in steps))

    def _computed(self, run: Run, info: CheckpointInfo, ids: list[int]) -> Frame:
        if found := self._recall(info, ids):
            return found
        opened = self.library.open(run.name, info.step, keep=False)
        with opened.lock:
            cache = interp.run_with_cache(opened.model, ids, SITES)
            frame = Frame(
                info.step,
                encode_pattern(interp.attention_patterns(cache)[:, 0]),
                interp.token_losses(cache)[0].astype(np.float32),
                np.stack([score.values for score in self._scores(opened, info, ids, cache)]).astype(np.float32),
            )
        with self._lock:
            self._kept[info.path, info.sha256, tuple(ids)] = frame
            while len(self._kept) > 1 and sum(f.nbytes for f in self._kept.values()) > MAX_KEPT_BYTES:
                self._kept.popitem(last=False)
        return frame

    def _recall(self, info: CheckpointInfo, ids: list[int]) -> Frame | None:
        key = info.path, info.sha256, tuple(ids)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _scores(
        self, opened: Opened, info: CheckpointInfo, ids: list[int], cache: interp.ActivationCache | None = None
    ) -> list[services.Score]:
        key = info.path, info.sha256
        with opened.lock:
            cache = interp.run_with_cache(opened.model, ids, interp.PATTERN_SITES) if cache is None else cache
            if key not in self._repeated:
                self._repeated[key] = services.repeated_scores(opened)
        return [*services.text_scores(cache), *self._repeated[key]]


class Probes:
    """The readable bundles of a run and the texts in them."""

    def __init__(self, run: Run, tokenizer: Tokenizer) -> None:
        self.run, self.tokenizer = run, tokenizer
        self.paths = {info.step: info.path for info in run.probes()}
        self.problems: list[str] = []
        self.first: dict[str, Any] = {}
        for path in self.paths.values():
            try:
                self.first = _checked(read_probe(path), path, tokenizer.vocab_size)
                break
            except ValueError as error:
                self.problems.append(_short(error, run))
        self.ids: list[list[int]] = self.first["token_ids"].tolist() if self.first else []
        self.texts = [tokenizer.decode(ids).rstrip("\ufffd") for ids in self.ids]
        stored = [str(name).replace("_", " ") for name in self.first.get("score_names", [])]
        # In the order in which the page names them everywhere.
        self.score_names = [name for name in services.SCORES if name in stored]
        self.score_rows = [stored.index(name) for name in self.score_names]

    def find(self, text: str) -> tuple[int, int] | None:
        """(which text, how many of its tokens) where `text` is a probe text or the beginning of one.

        By its characters: a text that was cut inside a word may be cut otherwise when it is read again.
        """
        for index, (ids, whole) in enumerate(zip(self.ids, self.texts, strict=True)):
            if text and whole.startswith(text):
                for n in range(len(ids), 1, -1):
                    if self.tokenizer.decode(ids[:n]).rstrip("\ufffd") == text:
                        return index, n
        return None

    def frame(self, step: int, index: int, n: int) -> Frame:
        """The bundle of `step`, cut to the first `n` tokens of text `index`: exact, as no token sees a later one."""
        path = self.paths[step]
        try:
            found = _checked(read_probe(path), path, self.tokenizer.vocab_size)
            for name in ("token_ids", "patterns", "scores", "score_names"):
                if found[name].shape != self.first[name].shape:
                    raise ValueError(f"{path} is of another probe than the run's first: its {name} differ in shape")
        except ValueError as error:
            raise ValueError(_short(error, self.run)) from None
        return Frame(
            step,
            np.ascontiguousarray(found["patterns"][:, index, :, :n, :n]),
            found["token_loss"][index, : n - 1].astype(np.float32),
            found["scores"][self.score_rows].astype(np.float32),
        )


def learned_at(steps: Sequence[int], losses: Array) -> list[int | None]:
    """When each token was learned: the first of `steps` from which on its loss stays at or below half-way between that
    of the first step and its lowest; None where it never fell by half a nat.

    `losses` `[step, token]` nats. Half-way, as a small model never comes near 0 and yet has learned a word.
    """
    found: list[int | None] = []
    for column in np.asarray(losses, dtype=np.float64).T:
        lowest = np.nanmin(column) if np.isfinite(column).any() else np.nan
        if not column[0] - lowest >= LEAST_FALL:
            found.append(None)
            continue
        above = np.flatnonzero(~(column <= (column[0] + lowest) / 2))
        after = int(above[-1]) + 1 if len(above) else 0
        found.append(steps[after] if after < len(steps) else None)
    return found


def _events(film: Film, frames: Iterator[Any]) -> Iterator[dict[str, Any]]:
    yield {"event": "start", **vars(film)}
    steps, losses = [], []
    for step, make in zip(film.steps, frames, strict=True) if film.ready else ():
        try:
            frame = make()
        except ValueError as error:  # of one snapshot: the others are shown
            yield {"event": "problem", "step": step, "problem": str(error)}
            continue
        steps.append(step)
        losses.append(frame.token_loss)
        yield {"event": "frame", **vars(frame)}
    yield {"event": "end", "learned": learned_at(steps, np.stack(losses)) if steps else []}


def _thinned(steps: list[int], each: int) -> tuple[list[int], list[str]]:
    """Of `steps` as many as a browser can hold, evenly, with the last; and a note where some are left out."""
    most = MAX_FILM_BYTES // max(1, each)
    if len(steps) <= most:
        return steps, []
    if most < FEWEST_FRAMES:
        raise ValueError(
            f"{each:,} attention weights a snapshot are too many to go through time with: shorten the text "
            f"by {100 - 100 * math.sqrt(MAX_FILM_BYTES / FEWEST_FRAMES / each):.0f} % or more"
        )
    every = math.ceil(len(steps) / most)
    kept = steps[::-1][::every][::-1]
    return kept, [f"{len(kept)} of {len(steps)} snapshots, every {every}th: all would not fit into a browser"]


def _checked(bundle: dict[str, Any], path: Path, vocab_size: int) -> dict[str, Any]:
    """The bundle, if it is as `lab.runs.probes` says: what is read of it has the right shapes."""
    try:
        n_texts, n_pos = bundle["token_ids"].shape
        n_layers, _, n_heads, *_ = bundle["patterns"].shape
        shapes = {
            "patterns": (n_layers, n_texts, n_heads, n_pos, n_pos),
            "token_loss": (n_texts, n_pos - 1),
            "scores": (len(bundle["score_names"]), n_layers, n_heads),
            "score_chance": (len(bundle["score_names"]),),
        }
        fits = all(bundle[name].shape == shape for name, shape in shapes.items())
        fits &= bundle["patterns"].dtype == np.uint8 and n_pos > 1
        fits &= bool(((bundle["token_ids"] >= 0) & (bundle["token_ids"] < vocab_size)).all())
    except (KeyError, ValueError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise ValueError(f"{path} is no probe bundle of this run: its arrays do not fit each other")
    return bundle


def _short(error: ValueError, run: Run) -> str:
    return str(error).replace(f"{run.path}/", "")


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
