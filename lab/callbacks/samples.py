"""Texts that the model writes while it learns, for the same prompts with the same seed at each look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.callbacks.activations import reference_texts
from lab.callbacks.instrument import Instrument
from lab.callbacks.longest_copy import Copy, longest_copies
from lab.data.datamodule import LabDataModule
from lab.generation import Prompt, Sampling, read_prompt, stream
from lab.runs import SampleWriter, metrics
from lab.runs.events import SampleWritten
from lab.training.callback import FitContext
from lab.training.looking import BrokenOff


@dataclass(frozen=True)
class Sample:
    """One text as it was written, of `tokens` tokens, and the longest copy in it (`longest_copy` of samples.jsonl)."""

    prompt: str
    text: str
    tokens: int
    copy: dict[str, Any] | None

    def copied(self) -> str:
        """The copy in words."""
        return f"{self.copy['tokens']} of {self.tokens} tokens: {self.copy['text']}" if self.copy else "n/a"


class Samples(Instrument):
    """Writes a text for each of a few fixed prompts, and finds what of it was copied.

    Texts go into samples.jsonl and to the dashboards, and beside each the longest run of tokens that also stands
    in the training text (see `lab.callbacks.longest_copy`).

    Prompts and seed never change, so that what differs between two steps is what was learned in between. Each
    line of samples.jsonl has `prompt`, `text`, `temperature`, `seed`, and `longest_copy`: `{"tokens", "text",
    "searched"}`, null for a made corpus, which is no text.

    Args:
        every: Optimizer steps between samples after the log-spaced start; 0: none; None: half of the run.
        prompts: What to go on with; None: the start of a document, and a beginning from the validation text.
        tokens: How many to write.
        temperature: Of the sampling; 0 always takes the likeliest token.
        seed: Of the drawing, the same at every step.
    """

    group = "samples"
    per_run = 2

    def __init__(
        self,
        every: int | None = None,
        prompts: list[str] | None = None,
        tokens: int = 32,
        temperature: float = 0.8,
        seed: int = 1337,
    ) -> None:
        problems = self.problems(every)
        try:
            self.sampling = Sampling(max_new_tokens=tokens, temperature=temperature, seed=seed)
        except ValueError as error:
            lines = str(error).replace("max_new_tokens", "tokens").splitlines()
            problems += [f"samples.{line}" for line in lines]
        if prompts is not None and not prompts:
            problems.append("samples.prompts is empty: give at least one, or samples.every: 0")
        if problems:
            raise ValueError("\n".join(problems))
        super().__init__(every)
        self.prompts = prompts

    def look(self, fit: FitContext) -> None:
        """Write, compare with the training text, log."""
        samples = self.write(fit)
        copies = [sample.copy for sample in samples if sample.copy is not None]
        if copies:
            fit.logbook.log(fit.step, {metrics.STATS_LONGEST_COPY: max(copy["tokens"] for copy in copies)})
        rows = [[sample.prompt, sample.text, sample.copied()] for sample in samples]
        self.dashboards(fit).text("samples", ["prompt", "text", "longest copy"], rows, fit.step)

    def write(self, fit: FitContext, prompts: list[str] | None = None, *, asked: bool = False) -> list[Sample]:
        """Write into samples.jsonl, for these prompts or the instrument's own; `asked`: by command, the event says so.

        Raises ValueError for a prompt with characters outside the vocabulary, `WriteError` when the disk is full.
        """
        data, logbook, samples = fit.data, fit.logbook, []
        texts = self.read_prompts(data, fit.model.config.context_length, prompts)
        written = [self._write(fit, prompt, asked) for prompt in texts]
        copies: list[Copy] | None = None
        if data.sequences.per_epoch is not None:
            copies = longest_copies(written, data.token_files["train"].array())
        with SampleWriter(logbook.run) as writer:
            for i, (prompt, ids) in enumerate(zip(texts, written, strict=True)):
                copy = None
                if copies is not None:
                    run = ids[copies[i].start : copies[i].start + copies[i].length]
                    copy = {"tokens": len(run), "text": data.tokenizer.decode(run), "searched": copies[i].searched}
                samples.append(Sample(prompt.text, data.tokenizer.decode(ids), len(ids), copy))
                sampling = {"temperature": self.sampling.temperature, "seed": self.sampling.seed}
                writer.write(fit.step, prompt.text, samples[-1].text, **sampling, longest_copy=copy)
        logbook.event(SampleWritten(step=fit.step, count=len(samples), asked=asked))
        return samples

    def read_prompts(self, data: LabDataModule, context_length: int, prompts: list[str] | None = None) -> list[Prompt]:
        """These prompts, or the instrument's own, as ids; ValueError for characters outside the vocabulary."""
        if (given := self.prompts if prompts is None else prompts) is not None:
            return [read_prompt(text, data.tokenizer, context_length) for text in given]
        long = max(1, min(16, context_length // 4))
        beginning = reference_texts(data, context_length)[0, :long].tolist()
        return [
            read_prompt("", data.tokenizer, context_length),
            Prompt(beginning, data.tokenizer.decode(beginning)),
        ]

    def _write(self, fit: FitContext, prompt: Prompt, asked: bool) -> list[int]:
        """The ids that follow the prompt, up to an end of text. Raises `BrokenOff` when a signal has come meanwhile."""
        tokenizer = fit.data.tokenizer
        stop = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
        ids = []
        for written in stream(fit.model, prompt.tokens, self.sampling, stop=stop, alternatives=0):
            if fit.interrupted() and not asked:
                raise BrokenOff("a signal ends the run")
            ids.append(written.token)
        return [i for i in ids if i not in stop and tokenizer.tokens[i] is not None]
