"""`python -m lab tokenizer train|show`: learn a vocabulary from text, and look at what one does to text.

`train` learns byte pairs from a corpus or your own files and says how much shorter text becomes; its file
serves as `--data.tokenizer`. `show` prints the longest tokens and, with `--text`, a text cut into its tokens.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console.terminal import Parser, guarded
from lab.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from lab.data.corpus import Corpus
    from lab.data.tokenizers import Tokenizer

PROGRAM = "python -m lab tokenizer"
USAGE = f"""\
usage: {PROGRAM} train --corpus NAME | --path FILE … [--vocab_size N] [--out tok.json]
       {PROGRAM} show FILE_OR_RUN [--text TEXT]

Learn a vocabulary from text, or look at one. Each explains itself with --help."""
# Held-out text that bytes per token are measured on: enough for three digits.
MEASURED_CHARACTERS = 1_000_000
LONGEST = 24
COLOURS = ("black on cyan", "black on yellow", "black on green", "black on magenta")
MARKS = {" ": "·", "\n": "⏎", "\t": "→"}


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after a line on stderr for each mistake in the input."""
    if argv[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if argv[:1] == ["train"]:
        return _train(_train_parser().parse_args(argv[1:]))
    if argv[:1] == ["show"]:
        return _show(_show_parser().parse_args(argv[1:]))
    raise ValueError(f"say train or show{f', not {argv[0]!r}' if argv else ''} (see {PROGRAM} --help)")


def _train_parser() -> Parser:
    parser = Parser(f"{PROGRAM} train", "Learn byte pairs from a corpus or your own files.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpus", help="a corpus the lab knows: python, shakespeare, tinystories, …")
    source.add_argument("--path", nargs="+", metavar="FILE", help="your own text: files, folders, globs")
    parser.add_argument("--text_key", help="field of .jsonl and .parquet that holds the text (default: text)")
    parser.add_argument("--vocab_size", type=int, default=4096, help="ids, end of text included (default: 4096)")
    parser.add_argument("--out", type=Path, default=Path("tokenizer.json"), help="default: tokenizer.json")
    return parser


def _show_parser() -> Parser:
    parser = Parser(f"{PROGRAM} show", "What a vocabulary holds, and what it does to a text.")
    what = "a tokenizer.json, a run, `last`, or a name such as gpt2"
    parser.add_argument("what", metavar="FILE_OR_RUN", help=what)
    parser.add_argument("--text", help="a text to cut into tokens")
    parser.add_root()
    return parser


# ---------------------------------------------------------------- train


def _train(args: argparse.Namespace) -> int:
    from lab.data.cache import writing
    from lab.data.corpora import open_corpus
    from lab.data.folders import left_out_line
    from lab.data.synthetic import SyntheticCorpus
    from lab.data.tokencorpus import TokenCorpus
    from lab.data.tokenizers import make_tokenizer, published_if_here

    if args.out.is_dir() or not args.out.parent.is_dir():
        raise ValueError(f"--out {args.out}: name a file in a folder that exists")
    options = {"text_key": args.text_key} if args.text_key else {}
    corpus = open_corpus(args.corpus or "text", args.path, **options)
    if isinstance(corpus, SyntheticCorpus):
        raise ValueError(f"--corpus {args.corpus} is made of symbols, not of text: they are its vocabulary")
    if isinstance(corpus, TokenCorpus):
        raise ValueError("--corpus tokens is made of ids, not of text: they have their vocabulary")
    tokenizer = make_tokenizer("bpe", corpus, args.vocab_size)
    with writing(args.out) as file:
        file.write(tokenizer.to_json().encode())

    text = _held_out(corpus)
    rows = {f"{args.out.name} ({tokenizer.vocab_size})": tokenizer}
    if (gpt2 := published_if_here("gpt2")) is not None:
        rows[f"gpt2 ({gpt2.vocab_size})"] = gpt2
    print(f"{args.out}: {tokenizer.vocab_size} tokens, learned from '{corpus.name}'")
    left_out = corpus.describe().get("left_out")
    print(f"left out: {left_out_line(left_out)}\n" if left_out else "")
    print(f"bytes per token on {len(text.encode()):,} bytes of its held-out text:")
    width = max(map(len, rows))
    for name, one in rows.items():
        print(f"  {name:<{width}}  {_bytes_per_token(one, text):.2f}")
    print(f"  {'bytes':<{width}}  1.00\n\nnext: {PROGRAM} show {args.out} --text 'some text'")
    return 0


def _held_out(corpus: Corpus) -> str:
    parts: list[str] = []
    left = MEASURED_CHARACTERS
    for text, _ in corpus.pieces("val"):
        parts.append(text[:left])
        left -= len(parts[-1])
        if left <= 0:
            break
    return "".join(parts)


def _bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    return len(text.encode()) / max(1, len(tokenizer.encode(text)))


# ---------------------------------------------------------------- show


def _show(args: argparse.Namespace) -> int:
    from rich.console import Console

    tokenizer = _find(args.what, args.root)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    end = "none" if tokenizer.eot_id is None else tokenizer.eot_id
    console.print(f"[bold]{tokenizer.name}[/]  {tokenizer.vocab_size} tokens, end of text: {end}")
    if args.text is None:
        _print_longest(console, tokenizer)
    else:
        _print_strip(console, tokenizer, args.text)
    return 0


def _find(what: str, root: str) -> Tokenizer:
    """The tokenizer of a file or a folder, of a known name, or of a run."""
    from lab.data.tokenizers import FIXED, load_tokenizer, make_tokenizer
    from lab.runs import open_run

    if Path(what).is_file() or what.endswith(".json") or Path(what, "tokenizer.json").is_file():
        return load_tokenizer(what)
    if what in FIXED:
        return make_tokenizer(what)
    return load_tokenizer(open_run(what, root).path)


def _print_longest(console: Console, tokenizer: Tokenizer) -> None:
    from rich.text import Text

    special = set(tokenizer.specials.values())
    ids = [i for i, token in enumerate(tokenizer.tokens) if token is not None and i not in special]
    ids.sort(key=lambda i: -len(tokenizer.tokens[i] or b""))
    console.print(f"\nthe {min(LONGEST, len(ids))} longest:")
    for i in ids[:LONGEST]:
        token = tokenizer.token_bytes(i)
        console.print(Text(f"{i:>8}  {len(token):>3} bytes  ").append(as_shown(token), style=COLOURS[0]))


def _print_strip(console: Console, tokenizer: Tokenizer, text: str) -> None:
    """The text with its tokens coloured in turn (without colours: a bar between them), and the ids."""
    from rich.text import Text

    ids = tokenizer.encode(text).tolist()
    strip = Text()
    for n, i in enumerate(ids):
        if n and console.color_system is None:
            strip.append("|")
        token = as_shown(tokenizer.token_bytes(i))
        strip.append(token, style=COLOURS[n % len(COLOURS)])
        if token.endswith(MARKS["\n"]):
            strip.append("\n")
    console.print()
    console.print(strip)
    console.print()
    console.print(" ".join(map(str, ids)))
    size = len(text.encode("utf-8", "replace"))
    ratio = f", {size / len(ids):.2f} bytes per token" if ids else ""
    console.print(f"\n{size} bytes, {len(ids)} tokens{ratio}")


def as_shown(token: bytes) -> str:
    """A token as it can be printed: white space visible, bytes that are no whole character as `\\xe2`."""
    text = token.decode("utf-8", errors="backslashreplace")
    return visible("".join(MARKS.get(c, c) for c in text))
