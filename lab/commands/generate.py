"""`python -m lab generate RUN --prompt …`: a run's model continues a text, token by token.

The text goes to stdout as it is written, everything else (notes, speed, the seed) to stderr, so that the text
alone can be piped on. `--json` prints one object at the end, with the probabilities at each token.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lab.console.format import print_json
from lab.console.terminal import INTERRUPTED, Parser, guarded
from lab.visible import visible

if TYPE_CHECKING:
    from lab.generation import Prompt, Sampling, Step
    from lab.loading import Loaded

BOLD, PLAIN = "\033[1m", "\033[0m"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="python -m lab generate", description="Let the model of a run write.")
    parser.add_argument(
        "run", metavar="RUN", help="a run's name, `last`, a path, or a folder with a Hugging Face GPT-2"
    )
    parser.add_argument("--prompt", default="", help="what it goes on with (default: nothing, a new document)")
    parser.add_argument("--max_new_tokens", type=int, help="tokens to write at most (default: 256)")
    parser.add_argument(
        "--temperature",
        type=float,
        help="below 1 more predictable, above 1 more surprising, 0 always the likeliest (default: 0.8)",
    )
    parser.add_argument("--top_k", type=int, metavar="K", help="draw among the K likeliest tokens only")
    parser.add_argument(
        "--top_p", type=float, metavar="P", help="draw among the likeliest tokens that together have probability P"
    )
    parser.add_argument("--seed", type=int, help="the same seed writes the same text (default: a new one each time)")
    parser.add_argument("--step", help="optimizer steps done, `last` or `best` (default: the newest weights)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, 2 after a mistake in the input, 130 after Ctrl-C."""
    args = _parse(argv)
    from lab.generation import Sampling, read_prompt, stream
    from lab.loading import load

    given = {name: getattr(args, name) for name in ("max_new_tokens", "temperature", "top_k", "top_p")}
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    sampling = Sampling(**{name: value for name, value in given.items() if value is not None}, seed=seed)
    step = int(args.step) if args.step and args.step.isdecimal() else args.step
    loaded = load(args.run, step, args.root, args.device)
    # A shell hands on any bytes; what is no UTF-8 among them becomes U+FFFD.
    typed = args.prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    prompt = read_prompt(typed, loaded.tokenizer, loaded.model.config.context_length)
    for note in prompt.notes:
        print(visible(note), file=sys.stderr)
    writing = Writing(loaded, prompt, sampling, show=not args.json)
    steps = stream(loaded.model, prompt.tokens, sampling, stop=writing.stop, alternatives=5 if args.json else 0)
    writing.follow(steps)
    if args.json:
        print_json(writing.as_dict())
    print(writing.summary(), file=sys.stderr)
    return INTERRUPTED if writing.ended == "interrupted" else 0


class Writing:
    """A text while it is written: shown as it comes, and all there is to say about it afterwards."""

    def __init__(self, loaded: Loaded, prompt: Prompt, sampling: Sampling, show: bool) -> None:
        self.loaded, self.prompt, self.sampling, self.show = loaded, prompt, sampling, show
        end = loaded.tokenizer.eot_id
        self.stop: tuple[int, ...] = () if end is None else (end,)
        self.steps: list[Step] = []
        self.text = ""
        self.ended = "max_new_tokens"
        self.seconds = 0.0

    def follow(self, steps: Iterator[Step]) -> None:
        """Take the steps until they end, the model ends its text, or Ctrl-C."""
        from lab.generation import with_text

        started = time.perf_counter()
        self._show(self.prompt.text, BOLD)
        try:
            for step, piece in with_text(steps, self.loaded.tokenizer, self.stop):
                if step is not None:
                    self.steps.append(step)
                self.text += piece
                self._show(piece)
        except KeyboardInterrupt:
            self.ended = "interrupted"
        else:
            if self.steps and self.steps[-1].token in self.stop:
                self.ended = "end of text"
        self.seconds = time.perf_counter() - started
        self._show("\n")

    def _show(self, text: str, style: str = "") -> None:
        if not self.show or not text:
            return
        if sys.stdout.isatty():
            text = f"{style}{visible(text)}{PLAIN}" if style else visible(text)
        sys.stdout.write(text)
        sys.stdout.flush()

    def summary(self) -> str:
        """How much, how fast, and how to have it again."""
        n, where = len(self.steps), self.loaded.name
        if self.loaded.step is not None:
            where += f" at step {self.loaded.step:,}"
        ended = "" if self.ended == "max_new_tokens" else f" ({self.ended})"
        speed = f"{n / self.seconds:,.0f} tokens/s" if n else "no token"
        return f"{where}: {n:,} tokens in {self.seconds:.2f} s, {speed}{ended}; seed {self.sampling.seed}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON. Probabilities are the model's own, `chance` is that of the drawing."""
        return {
            "run": self.loaded.name,
            "step": self.loaded.step,
            "prompt": self.prompt.text,
            "prompt_tokens": self.prompt.tokens,
            "dropped": self.prompt.dropped,
            "sampling": {name: getattr(self.sampling, name) for name in self.sampling.__dataclass_fields__},
            "text": self.text,
            "ended": self.ended,
            "seconds": self.seconds,
            "tokens_per_second": len(self.steps) / self.seconds if self.seconds else None,
            "tokens": [
                {
                    **self._token(step.token, step.probability),
                    "chance": step.chance,
                    "removed": step.removed,
                    "alternatives": [self._token(*alternative) for alternative in step.alternatives],
                }
                for step in self.steps
            ],
        }

    def _token(self, token: int, probability: float) -> dict[str, Any]:
        stored = self.loaded.tokenizer.tokens[token] or b""
        return {"id": token, "text": stored.decode("utf-8", "backslashreplace"), "probability": probability}
