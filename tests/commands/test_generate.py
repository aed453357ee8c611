"""`generate` as a person meets it: text as it comes, notes beside it, mistakes in one line."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.commands.generate import main
from lab.data.vocabulary import ByteTokenizer
from lab.generation import Sampling, stream
from lab.loading import load
from lab.model import GPT, GPTConfig
from lab.runs import Run, create_run
from lab.runs.snapshots import write_snapshot
from tests.patience import PATIENCE

CONFIG = GPTConfig(n_layers=1, n_heads=2, d_model=32, context_length=64, vocab_size=257)


def save(run: Run, step: int, text: str) -> None:
    """A snapshot of a model that writes `text` over and over, whatever it reads: it looks at its position
    only.
    """
    torch.manual_seed(0)
    model = GPT(GPTConfig(**asdict(CONFIG) | {"tie_embeddings": False}))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.ln_final.weight.fill_(30.0)  # type: ignore[union-attr]
        cycle = list(text.encode())
        for position in range(CONFIG.context_length):
            model.position_embedding.weight[position, position % len(cycle)] = 1.0  # type: ignore[union-attr]
        for i, byte in enumerate(cycle):
            model.unembedding.weight[byte, i] = 1.0  # type: ignore[union-attr]
    config = asdict(model.config)
    write_snapshot(run, step, model.state_dict(), model_config=config)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    run = create_run("runs", "tiny")
    run.tokenizer_path.write_text(ByteTokenizer().to_json())
    save(run, 8, "né→🙂!")
    return run


def lab(*args: str, **options: Any) -> subprocess.Popen[bytes]:
    """A process of its own, in which Ctrl-C is not ignored, as it would be in a background job of a shell."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab", "generate", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def test_the_text_goes_out_and_the_rest_beside_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiny", "--prompt", "a", "--max_new_tokens", "10", "--temperature", "0", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert out == "ané→🙂\n"
    assert re.fullmatch(r"tiny at step 8: 10 tokens in \d+\.\d\d s, [\d,]+ tokens/s; seed 3\n", err)


def test_the_same_seed_writes_the_same_and_without_one_it_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write = ["tiny", "--temperature", "50", "--max_new_tokens", "40"]
    main(write)
    first, err = capsys.readouterr()
    seed = err.rsplit("seed ", 1)[1].strip()
    main([*write, "--seed", seed])
    assert capsys.readouterr().out == first
    main(write)
    assert capsys.readouterr().out != first


def test_json_tells_what_the_model_thought(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["tiny", "--prompt", "ab", "--max_new_tokens", "6", "--top_k", "20", "--seed", "1", "--json"]
    assert main(args) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["step"], told["prompt"], told["dropped"]) == ("tiny", 8, "ab", 0)
    sampling = Sampling(max_new_tokens=6, top_k=20, seed=1)
    assert told["sampling"] == asdict(sampling)
    model, tokenizer = load("tiny")
    steps = list(stream(model, told["prompt_tokens"], sampling))
    assert [token["id"] for token in told["tokens"]] == [step.token for step in steps]
    assert told["text"] == tokenizer.decode(step.token for step in steps)
    for token, step in zip(told["tokens"], steps, strict=True):
        assert token["probability"] == pytest.approx(step.probability)
        assert [a["id"] for a in token["alternatives"]] == [a.token for a in step.alternatives]
        assert token["removed"] == step.removed
    assert told["tokens"][0]["text"] == "\\xc3", "half a character, as the bytes it is"


def test_another_step_and_another_root(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(run, 16, "xy")
    greedy = ["--temperature", "0", "--max_new_tokens", "4", "--prompt", "a"]
    main(["tiny", *greedy])
    assert capsys.readouterr().out == "axyxy\n"
    main(["last", "--root", str(run.path.parent.resolve()), "--step", "8", *greedy])
    assert capsys.readouterr().out.startswith("ané")
    main([str(run.path.resolve()), "--step", "16", *greedy])
    assert capsys.readouterr().out == "axyxy\n"


def test_long_and_empty_prompts_are_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    main(["tiny", "--prompt", "0123456789" * 10, "--max_new_tokens", "1"])
    out, err = capsys.readouterr()
    assert "100 tokens and the model can look at 64: the first 36 are dropped" in err
    assert out.startswith("6789")
    main(["tiny", "--max_new_tokens", "1"])
    assert "the prompt is empty" in capsys.readouterr().err


def test_an_end_of_text_ends_it_unprinted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model, _ = load("tiny")
    with torch.no_grad():
        model.unembedding.weight[256] = 2 * model.unembedding.weight[ord("n")]
    write_snapshot(run, 32, model.state_dict(), model_config=asdict(model.config))
    assert main(["tiny", "--prompt", "a", "--temperature", "0"]) == 0
    out, err = capsys.readouterr()
    assert out == "a\n"
    assert "(end of text)" in err


@pytest.mark.parametrize(
    ("args", "reasons"),
    [
        (["nosuch"], ["no run 'nosuch'"]),
        (["tiny", "--step", "7"], ["no weights of step 7; there are those of the steps 8"]),
        (["tiny", "--step", "first"], ["step='first'"]),
        (["tiny", "--temprature", "1"], ["did you mean --temperature?"]),
        (["tiny", "--top-k", "1"], ["did you mean --top_k?"]),
        (["tiny", "--top_k", "many"], ["--top_k: invalid int value"]),
        (
            ["tiny", "--top_k", "0", "--top_p", "2", "--temperature", "-1"],
            ["temperature=", "top_k=", "top_p="],
        ),
        (["tiny", "--device", "toaster"], ["device='toaster'"]),
        ([], ["RUN"]),
    ],
)
def test_mistakes_are_a_line_each(
    run: Run, args: list[str], reasons: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    if reasons[0] == "no run 'nosuch'":
        err = err.split("\n")[0]
    lines = err.strip().splitlines()
    assert len(lines) == len(reasons)
    for line, reason in zip(lines, reasons, strict=True):
        assert line.startswith("error: ")
        assert reason in line


def test_the_help_tells_the_defaults_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"at most (default: {Sampling().max_new_tokens})" in told
    assert f"the likeliest (default: {Sampling().temperature})" in told


def test_what_a_shell_hands_on_need_not_be_text(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiny", "--prompt", "a\udcff", "--max_new_tokens", "1", "--temperature", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "a\ufffd"


def test_ctrl_c_ends_the_text_and_says_so(run: Run) -> None:
    with lab("tiny", "--prompt", "a", "--max_new_tokens", "100000000") as process:
        assert process.stdout
        process.stdout.read(40)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.endswith(b"\n")
    last = err.decode().strip().splitlines()[-1]
    assert "(interrupted); seed" in last
    assert "Traceback" not in err.decode()


def test_a_closed_pipe_is_no_mistake(run: Run) -> None:
    with lab("tiny", "--prompt", "a", "--max_new_tokens", "100000000") as process:
        assert process.stdout
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr
        assert process.stderr.read() == b""


def test_a_terminal_gets_text_as_it_comes_and_nothing_to_obey(run: Run) -> None:
    save(run, 64, "\x1b[2J\u0007né→🙂")
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "lab", "generate", "tiny", "--temperature", "0", "--prompt", "a"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*command, "--max_new_tokens", "100000000"],
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(terminal)
    seen, until = b"", time.monotonic() + 60
    while len(seen) < 4000 and time.monotonic() < until and select.select([controller], [], [], 60)[0]:
        seen += os.read(controller, 1000)
    still_writing = process.poll() is None
    process.kill()
    process.wait()
    os.close(controller)
    assert still_writing
    text = seen.decode("utf-8", "ignore")
    assert "né→🙂\\x1b[2J\\x07né→🙂" in text
    assert "\ufffd" not in text
    assert set(re.findall("\x1b\\[.*?m", text)) == {"\x1b[1m", "\x1b[0m"}, "the prompt is bold"
    assert text.count("\x1b") == 2
