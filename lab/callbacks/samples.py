"""What the model writes while it learns: the same prompts with the same luck, at step after step."""

from __future__ import annotations

import lightning as L

from lab.callbacks.copying import Copy, longest_copies
from lab.callbacks.instrument import Instrument
from lab.callbacks.recording import probe_texts
from lab.data.datamodule import LabDataModule
from lab.generation import Prompt, Sampling, read_prompt, stream
from lab.runs import SampleWriter
from lab.training.module import PretrainingModule
from lab.training.trainer import logbook_of


class Samples(Instrument):
    """Writes a text for each of a few fixed prompts, and finds what of it was copied.

    Texts go into samples.jsonl and to the dashboards, and beside each the longest run of tokens that also stands
    in the training text (see `lab.callbacks.copying`).

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

    def look(self, trainer: L.Trainer, module: PretrainingModule, step: int) -> None:
        """Write, compare with the training text, tell."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, LabDataModule)
        prompts = self.read_prompts(data, module.config.context_length)
        written = [self._write(module, data, prompt) for prompt in prompts]
        copies: list[Copy] | None = None
        if data.sequences.per_epoch is not None:
            copies = longest_copies(written, data.token_files["train"].array())
        rows = []
        logbook = logbook_of(trainer)
        with SampleWriter(logbook.run) as writer:
            for i, (prompt, ids) in enumerate(zip(prompts, written, strict=True)):
                text = data.tokenizer.decode(ids)
                copy, copied = None, "n/a"
                if copies is not None:
                    run = ids[copies[i].start : copies[i].start + copies[i].length]
                    copied = data.tokenizer.decode(run)
                    copy = {"tokens": len(run), "text": copied, "searched": copies[i].searched}
                    copied = f"{len(run)} of {len(ids)} tokens: {copied}"
                writer.write(
                    step, prompt.text, text, temperature=self.sampling.temperature, seed=self.sampling.seed,
                    longest_copy=copy,
                )  # fmt: skip
                rows.append([prompt.text, text, copied])
        logbook.event("sample", step, count=len(rows))
        if copies is not None:
            logbook.log(step, {"stats/longest_copy": max(copy.length for copy in copies)})
        self.outlets(trainer).text("samples", ["prompt", "text", "longest copy"], rows, step)

    def read_prompts(self, data: LabDataModule, context_length: int) -> list[Prompt]:
        """The prompts as ids; raises ValueError for characters outside the vocabulary."""
        if self.prompts is not None:
            return [read_prompt(text, data.tokenizer, context_length) for text in self.prompts]
        long = max(1, min(16, context_length // 4))
        beginning = probe_texts(data, context_length)[0, :long].tolist()
        return [
            read_prompt("", data.tokenizer, context_length),
            Prompt(beginning, data.tokenizer.decode(beginning)),
        ]

    def _write(self, module: PretrainingModule, data: LabDataModule, prompt: Prompt) -> list[int]:
        """The ids that follow the prompt, up to an end of text."""
        end = data.tokenizer.eot_id
        stop = () if end is None else (end,)
        steps = stream(module.model, prompt.tokens, self.sampling, stop=stop, alternatives=0)
        ids = [written.token for written in steps]
        known = [i for i in ids if i != end and data.tokenizer.tokens[i] is not None]
        return known
