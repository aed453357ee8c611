"""`generate`: decoding with a cache against reading the whole window again for each token."""

from __future__ import annotations

import torch

from lab.generation import Sampling, stream
from lab.model import GPT
from scripts import reference_gpt as reference
from scripts.benchmarks.measure import Options, Row, TimedProcess, compare, run_by_turns
from scripts.benchmarks.workloads import WORKLOADS, Step, Workload, copy_weights, reference_shape

PROMPT = (1, 2, 3, 4)


def run(options: Options) -> list[Row]:
    """512 tokens, batch 1, greedily; one row says whether both wrote the same within the window."""
    workload = WORKLOADS["tiny" if options.quick else "B"]
    new = 20 if options.quick else 512
    rows = []
    for threads in options.threads:
        processes = [
            TimedProcess(name, build, workload, new, options.device, threads=threads, device=options.device)
            for name, build in (("reference", build_reference), ("lab", build_lab))
        ]
        run_by_turns(processes, blocks=1 if options.quick else 3, steps=1, warm_up=1)
        rows += compare("generate", workload.name, processes, threads, new, unit=f"{new} tokens")
    return [*rows, _agreement(workload)]


def models(workload: Workload) -> tuple[GPT, reference.ReferenceGPT]:
    """The same weights twice, spread wider than at the start so that the greedy choice is never close."""
    torch.manual_seed(0)
    ours = GPT(workload.config).eval()
    with torch.no_grad():
        for weight in ours.parameters():
            if weight.ndim == 2:
                weight.mul_(4)
    theirs = reference.ReferenceGPT(reference_shape(workload.config)).eval()
    copy_weights(ours, theirs)
    return ours, theirs


def build_reference(workload: Workload, new: int, device: str) -> Step:
    """The reference's loop."""
    model = models(workload)[1].to(device)
    prompt = torch.tensor([PROMPT], device=device)
    return lambda n: float(model.generate(prompt, new, greedy=True)[0, -1])


def build_lab(workload: Workload, new: int, device: str) -> Step:
    """The lab's stream of tokens, its alternatives left out."""
    model = models(workload)[0].to(device)
    sampling = Sampling(temperature=0.0, max_new_tokens=new)
    return lambda n: float([step.token for step in stream(model, PROMPT, sampling, alternatives=0)][-1])


def _agreement(workload: Workload) -> Row:
    ours, theirs = models(workload)
    within = workload.config.context_length - len(PROMPT)
    written = [s.token for s in stream(ours, PROMPT, Sampling(temperature=0.0, max_new_tokens=within), alternatives=0)]
    expected = theirs.generate(torch.tensor([PROMPT]), within, greedy=True)[0, len(PROMPT) :].tolist()
    same = sum(a == b for a, b in zip(written, expected, strict=True))
    return Row("generate", workload.name, "lab", value=same / within, unit="share of equal tokens within the window")
