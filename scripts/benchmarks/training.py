"""`train`: tokens per second of the same model against the reference; and how far the losses differ."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

from lab.model import GPT, flops_per_token
from lab.model.loss import LossKernel, cross_entropy, head_logits, head_loss
from lab.training.levers import AUTOCAST
from scripts import reference_gpt as reference
from scripts.benchmarks.measure import Build, Options, Row, TimedProcess, compare, product_step, run_by_turns
from scripts.benchmarks.workloads import (
    WORKLOADS,
    RandomData,
    Step,
    Workload,
    benchmark_text,
    copy_weights,
    lab_levers,
    lab_step,
    reference_shape,
    reference_step,
    text_data,
)

PARITY_STEPS = 300
LARGEST_TEXT_VOCABULARY = 65
STEPS = {"A": 40, "B": 3, "Bd": 3, "C": 2, "tiny": 2}  # of a block: half a second to six seconds of the reference


def run(options: Options) -> list[Row]:
    """Every workload at every number of threads."""
    names = ("tiny",) if options.quick else options.workloads
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as cache:
        rows = []
        for name in names:
            for threads in options.threads:
                rows += _throughput(WORKLOADS[name], threads, options, cache)
            if name in ("A", "tiny"):
                rows += _parity(WORKLOADS[name], options, cache)
            if name in ("C", "tiny"):
                rows += _loss_memory(WORKLOADS[name])
        return rows


def _throughput(workload: Workload, threads: int, options: Options, cache: str) -> list[Row]:
    device, blocks = options.device, 2 if options.quick else 5
    builds: dict[str, Build] = {"reference": build_reference, "lab": build_lab}
    if workload.name == "A":
        builds["lab, compiled"] = partial(build_lab, compile=True)
    if workload.name == "C":
        builds["lab, all logits at once"] = partial(build_lab, loss="whole")
    if find_spec("transformers") and workload.config.dropout == 0 and not options.quick:
        builds["transformers"] = build_transformers
    text = str(benchmark_text(options.quick))
    processes = [
        TimedProcess(name, build, workload, device, threads, text, cache, threads=threads, device=device)
        for name, build in builds.items()
    ]
    shape = (workload.tokens, workload.config.d_model, workload.config.mlp_width)
    limits = [
        TimedProcess(dtype, product_step, *shape, dtype, device, threads=threads, device=device)
        for dtype in ("float32", "bfloat16")
    ]
    run_by_turns([*processes, *limits], blocks, STEPS[workload.name], warm_up=1 if options.quick else 3)
    flops = 2 * shape[0] * shape[1] * shape[2]
    ceiling = {one.name: 1000 * flops / min(one.times) for one in limits}
    low = lab_levers(workload.config, device).precision in AUTOCAST
    ceilings = {name: ceiling["bfloat16" if low and name.startswith("lab") else "float32"] for name in builds}
    rows = compare(
        "train",
        workload.name,
        processes,
        threads,
        workload.tokens,
        flops=flops_per_token(workload.config) * workload.tokens,
        ceilings=ceilings,
    )
    rows += [
        Row("train", workload.name, f"ceiling {d}", threads, value=c / 1e9, unit="GFLOP/s") for d, c in ceiling.items()
    ]
    return rows


# ---------------------------------------------------------------- what runs in the timed processes


def build_reference(workload: Workload, device: str, threads: int, text: str, cache: str) -> Step:
    """The reference as it is."""
    if workload.config.vocab_size > LARGEST_TEXT_VOCABULARY:
        return reference_step(workload, device, RandomData(workload).stream)
    data = text_data(workload, Path(text), Path(cache))
    return reference_step(workload, device, data.token_files["train"].array())


def build_lab(
    workload: Workload,
    device: str,
    threads: int,
    text: str,
    cache: str,
    compile: bool | None = None,
    loss: LossKernel = "auto",
) -> Step:
    """The lab's own step with its own levers."""
    large = workload.config.vocab_size > LARGEST_TEXT_VOCABULARY
    data = RandomData(workload) if large else text_data(workload, Path(text), Path(cache))
    levers = lab_levers(workload.config, device, threads=threads, compile=compile, loss=loss)
    return lab_step(GPT(workload.config), data, levers)


def build_transformers(workload: Workload, device: str, threads: int, text: str, cache: str) -> Step:
    """Hugging Face's GPT-2 of the same shape in the reference's loop: a peer, with biases and a tanh GELU."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = workload.config
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).to(device)
    optimizer = reference.make_optimizer(model)
    data = RandomData(workload).stream

    def call(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(x).logits
        return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())

    def step(n: int) -> float:
        x, y = reference.get_batch(data, workload.batch_size, config.context_length)
        loss = call(x.to(device), y.to(device))[1]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


# ---------------------------------------------------------------- parity


def _parity(workload: Workload, options: Options, cache: str) -> list[Row]:
    """Validation loss after the same batches from the same weights: reference, lab in fp32, lab with its levers."""
    torch.set_num_threads(options.threads[0])
    steps = 5 if options.quick else PARITY_STEPS
    text = benchmark_text(options.quick)
    data = text_data(workload, text, Path(cache))
    val = data.token_files["val"].array()
    shape = (val, workload.config.context_length, 64)

    def fresh() -> GPT:
        torch.manual_seed(0)
        return GPT(workload.config)

    theirs = reference.ReferenceGPT(reference_shape(workload.config))
    copy_weights(fresh(), theirs)
    optimizer = reference.make_optimizer(theirs)
    for n in range(steps):
        tokens, targets = data.step_batch(n)
        reference.train_step(theirs, optimizer, tokens[0], targets[0])
    losses = {"reference": reference.full_loss(theirs, *shape)}
    for name, precision in (("lab, fp32", "32-true"), ("lab", None)):
        model = fresh()
        step = lab_step(model, data, lab_levers(workload.config, "cpu", precision, threads=torch.get_num_threads()))
        for n in range(steps):
            step(n)
        # Measured alike, in fp32: what training in low precision did to the weights.
        copy_weights(model, theirs)
        losses[name] = reference.full_loss(theirs, *shape)
    base = losses["reference"]
    return [
        Row("train", workload.name, name, value=loss, unit=f"val loss after {steps} steps", note=f"{loss - base:+.5f}")
        for name, loss in losses.items()
    ]


# ---------------------------------------------------------------- memory of the loss


def _loss_memory(workload: Workload) -> list[Row]:
    """Peak memory of the loss and its gradient, beyond what was there before; each in a process of its own."""
    kernels: tuple[LossKernel, ...] = ("whole", "chunked")
    peaks = {}
    for kernel in kernels:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peaks[kernel] = pool.submit(loss_peak, workload, kernel).result()
    return [
        Row(
            "train",
            workload.name,
            f"loss {kernel}",
            ratio=peaks["whole"] / peak if peak else None,
            value=peak,
            unit="MB at peak",
        )
        for kernel, peak in peaks.items()
    ]


def loss_peak(workload: Workload, kernel: LossKernel) -> float:
    """Megabytes that the loss over one step's normalised stream, forward and backward, adds to this process's peak."""
    torch.set_num_threads(1)
    config = workload.config
    x = torch.randn(workload.tokens, config.d_model, requires_grad=True)
    weight = torch.randn(config.vocab_size, config.d_model).mul_(0.02).requires_grad_()
    targets = torch.randint(0, config.vocab_size, (workload.tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.autocast("cpu", torch.bfloat16):
        if kernel == "chunked":
            loss = head_loss(x, weight, targets, config.vocab_size)
        else:
            loss = cross_entropy(head_logits(x, weight, config.vocab_size, None), targets)
    loss.backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
