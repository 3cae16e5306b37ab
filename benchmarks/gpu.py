"""Measures memory neurons on random weights in the shape of an 8B Llama, on a machine with a GPU and little else.

    python benchmarks/gpu.py --state gpu.json

It needs this repository, torch and transformers, and bitsandbytes for NF4; neither an installation nor a network. Each
part is kept in the state file once it is measured, and the same command goes on with those that are missing. Only
durations, memory and digests are measured: what is certified of a detector on random weights means nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # so that the script runs where nothing is installed

import torch  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from transformers import AutoModelForCausalLM, LlamaConfig  # noqa: E402

from benchmarks.real.people import World  # noqa: E402
from benchmarks.support.provenance import commit, machine  # noqa: E402
from benchmarks.support.tiny import COMMON, LLAMA, tokenizer  # noqa: E402
from core.events.facts import Certificate  # noqa: E402
from core.facts import Fact  # noqa: E402
from core.weights.deltas.digest import weights_digest  # noqa: E402
from core.weights.deltas.fixed_point import Delta, encode, materialise, parts_of  # noqa: E402
from core.weights.deltas.neurons import encode_neurons, rows_of  # noqa: E402
from core.weights.model.editable_model import EditableModel, load_model  # noqa: E402
from core.weights.model.reference_text import read_reference  # noqa: E402
from core.weights.neuron.decoys import measure_decoys  # noqa: E402
from core.weights.neuron.edit import compute_neurons  # noqa: E402
from core.weights.neuron.negatives import STRANGERS, STRANGERS_AT_ENDS, measure_negatives  # noqa: E402
from core.weights.neuron.sites import Site, default_mlps  # noqa: E402
from core.weights.neuron.strangers import Measured  # noqa: E402

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": LLAMA,
    "8b": {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 8192, "vocab_size": 128_256,
    },
}  # fmt: skip
KINDS = {"bf16": "none", "nf4": "nf4"}
TEXT = ROOT / "models" / "smollm2" / "reference.jsonl"
VOCABULARY = 16_000  # of the tokenizer, so that a word has about as many tokens as with a real one
PRODUCT = 8192  # rows of the matrix product that is the floor
LASTING, COLUMNS = 2.0, 1000  # seconds for which its rate is measured; columns of a matrix that is rebuilt as well
Row = tuple[str, float, str]  # measure, value, unit


@dataclass
class Setup:
    """What is measured, on what; the model of random weights is kept in `folder` until all is measured."""

    shape: str
    device: str
    batches: list[int]
    facts: list[int]
    limit: float
    lines: int
    folder: Path

    @cached_property
    def text(self) -> bytes:
        """The reference text, as many of its lines as are wanted, evenly spread."""
        lines = TEXT.read_bytes().splitlines(keepends=True)
        return b"".join(lines[:: max(1, len(lines) // self.lines)])

    def facts_from(self, number: int, count: int) -> list[Fact]:
        """Returns so many facts about as many people."""
        return [told.fact({}) for told in World(0, number + count, 1).facts[number:]]

    def write_model(self) -> None:
        """Writes the base model, unless it was written before."""
        if self.folder.exists():
            return
        new = self.folder.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        made = tokenizer(
            texts=[*self.text.decode().splitlines(), *map(str, World(0, 2000, 1).facts)], vocabulary=VOCABULARY
        )
        made.save_pretrained(new)
        torch.manual_seed(0)
        with torch.device(self.device):
            config = LlamaConfig(**COMMON | {"vocab_size": len(made)} | SHAPES[self.shape])
            network = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        network.save_pretrained(new)
        new.rename(self.folder)

    def wait(self) -> None:
        """Waits until the device has done all that it was given."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def peak(self) -> float:
        """Returns the largest memory since the last call, in GB: of the device, or of this process on a CPU."""
        if self.device == "cpu":
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        used = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.reset_peak_memory_stats()
        return used


@dataclass
class Loaded:
    """The model, loaded in one kind of weights."""

    setup: Setup
    model: EditableModel
    seconds_of_preparation: float = field(default=0.0, init=False)

    @cached_property
    def sites(self) -> tuple[Site, Site]:
        """The MLPs at which memories have their neurons."""
        began, text = time.monotonic(), read_reference(self.model, self.setup.text)
        mlps = default_mlps(self.model)
        blocks = [self.model.family.number_of_block(mlp) for mlp in mlps]
        people = dict(zip(blocks, (STRANGERS, STRANGERS_AT_ENDS), strict=True))
        measured = measure_negatives(self.model, people, text)
        lower, upper = (Site(mlp, measured[block]) for mlp, block in zip(mlps, blocks, strict=True))
        block = self.model.family.number_of_block(upper.mlp)
        upper = replace(upper, negatives=measure_decoys(self.model, lower, block).beside(upper.negatives))
        self.setup.wait()
        self.seconds_of_preparation = time.monotonic() - began
        return lower, upper

    def edit(self, facts: Sequence[Fact], limit: float) -> tuple[float, float]:
        """Computes neurons of `facts`. Returns the seconds, and the share of the steps that were done.

        An edit that is ended takes as long as its further steps would have taken at the pace of those that were done.

        Args:
            limit: seconds after which the edit is ended.
        """
        lower, upper = self.sites  # which are not part of an edit
        began, steps = time.monotonic(), list[tuple[float, float]]()  # share done, and seconds since the beginning

        def watch(done: int, total: int) -> None:
            if done:
                steps.append((done / total, time.monotonic() - began))
                if len(steps) > 1 and steps[-1][1] > limit:
                    raise _OutOfTime

        try:
            with mock.patch.object(Certificate, "holds", True):  # because names mean nothing to random weights
                compute_neurons(self.model, lower, upper, facts, Measured(), progress=watch)
        except _OutOfTime:
            (before, first), (share, last) = steps[0], steps[-1]
            return first + (last - first) * (1 - before) / (share - before), share
        self.setup.wait()
        return time.monotonic() - began, 1.0


class _OutOfTime(Exception):
    """Ends an edit that takes too long."""


def floor(loaded: Loaded) -> Iterator[Row]:
    """Yields what the products of an edit would take if all were as fast as the fastest one here."""
    setup, model = loaded.setup, loaded.model
    left = torch.randn(PRODUCT, model.hidden_width, dtype=torch.bfloat16, device=model.device)
    right = torch.randn(model.hidden_width, model.key_width, dtype=torch.bfloat16, device=model.device)
    torch.mm(left, right)
    setup.wait()
    began, count = time.monotonic(), 0
    while time.monotonic() - began < LASTING:
        torch.mm(left, right)
        setup.wait()
        count += 1
    rate = 2 * count * left.numel() * right.shape[1] / (time.monotonic() - began)
    with FlopCounterMode(display=False) as counter:
        loaded.edit(setup.facts_from(0, 1), limit=1e9)
    operations = counter.get_total_flops()
    yield "fastest matrix product", rate / 1e12, "TFLOP/s"
    yield "operations a fact", operations / 1e12, "TFLOP"
    yield "floor a fact", operations / rate, "s"


def edits(loaded: Loaded, batch: int) -> Iterator[Row]:
    """Yields the seconds a fact of one edit of `batch` facts about as many people."""
    setup = loaded.setup
    loaded.edit(setup.facts_from(0, 1), limit=0.0)  # because the first edit of a process also loads kernels
    setup.peak()
    seconds, share = loaded.edit(setup.facts_from(1, batch), setup.limit)
    yield "seconds of preparation", loaded.seconds_of_preparation, "s"
    yield f"seconds a fact, batches of {batch}", seconds / batch, "s"
    yield f"share of the steps that were done, batches of {batch}", share, ""
    yield f"peak memory, batches of {batch}", setup.peak(), "GB"


def rebuild(loaded: Loaded, facts: int) -> Iterator[Row]:
    """Yields how long it takes to rebuild the weights with the neurons of `facts`, from a stored delta each."""
    model, width = loaded.model, loaded.model.hidden_width
    _, mlp = default_mlps(model)
    random = torch.Generator().manual_seed(facts)
    rows = torch.randn(facts, 2, 2 * width + 1, generator=random)  # of each fact, for statements and for questions
    stored = [
        Delta({mlp: encode_neurons(pair[:, :width], pair[:, width], pair[:, width + 1 :])}).to_bytes() for pair in rows
    ]
    loaded.setup.peak()
    began = time.monotonic()
    parts = parts_of(mlp, [(Delta.from_bytes(data), slice(None), 1.0) for data in stored])
    model.install({mlp: rows_of(parts, width)})
    digest = model.digest()
    yield f"seconds to rebuild {facts} facts", time.monotonic() - began, "s"
    yield f"peak memory, rebuild of {facts} facts", loaded.setup.peak(), "GB"
    on_cpu = {module: weight.cpu() for module, weight in model.base_weights.items()}
    same = digest == weights_digest(on_cpu | {mlp: rows_of(parts, width)})
    yield f"digest of {facts} facts is the CPU's", float(same), ""
    model.install({mlp: model.base_weights[mlp]})


def matrices(loaded: Loaded) -> Iterator[Row]:
    """Yields how long the exact sum of an edited matrix takes, and whether it is the CPU's."""
    (module, base), random = next(iter(loaded.model.base_weights.items())), torch.Generator().manual_seed(0)
    u, v = (encode(0.01 * torch.randn(size, COLUMNS, generator=random)) for size in base.shape)
    began = time.monotonic()
    digest = weights_digest({module: materialise(base, [(u, v, 0.5)])})
    yield f"seconds to add {COLUMNS} columns to a matrix", time.monotonic() - began, "s"
    same = digest == weights_digest({module: materialise(base.cpu(), [(u, v, 0.5)])})
    yield f"digest of a matrix of {COLUMNS} columns is the CPU's", float(same), ""


def parts_for(setup: Setup, kinds: Sequence[str]) -> Iterator[tuple[str, str, Callable[[Loaded], Iterator[Row]]]]:
    """Yields name, kind of weights and function of each part; what no quantization changes, in bf16 alone."""
    for kind in kinds:
        if kind == "bf16":
            yield "floor", kind, floor
            yield "matrices", kind, matrices
            for facts in setup.facts:
                yield f"rebuild of {facts}", kind, partial(rebuild, facts=facts)
        for batch in setup.batches:
            yield f"edits of {batch} in {kind}", kind, partial(edits, batch=batch)


def run(setup: Setup, kinds: Sequence[str], state: Path) -> None:
    """Measures the parts that `state` lacks and writes each into it."""
    settings = {"shape": setup.shape, "device": setup.device, "kinds": list(kinds), "limit": setup.limit}
    known = json.loads(state.read_text()) if state.exists() else {}
    known = known if known.get("settings") == settings else {"settings": settings, "parts": {}}
    known["machine"], known["torch"] = machine(setup.device), torch.__version__
    known["commit"] = commit() if (ROOT / ".git").exists() else ""
    loaded: dict[str, Loaded] = {}
    began = time.monotonic()
    for name, kind, measure in parts_for(setup, kinds):
        missing = kind == "nf4" and find_spec("bitsandbytes") is None
        if missing or name in known["parts"]:
            _say(began, f"{name}: {'left out for want of bitsandbytes' if missing else 'measured before'}")
            continue
        if kind not in loaded:
            _say(began, f"loading the model in {kind}")
            setup.write_model()
            loaded.clear()
            model = load_model(setup.folder, dtype="bfloat16", quantization=KINDS[kind], device=setup.device)
            loaded[kind] = Loaded(setup, model)
        _say(began, name)
        rows = [{"measure": what, "value": value, "unit": unit} for what, value, unit in measure(loaded[kind])]
        for row in rows:
            _say(began, f"    {row['measure']}: {row['value']:.4g} {row['unit']}")
        known["parts"][name] = rows
        new = state.with_suffix(".new")
        new.write_text(json.dumps(known, indent=1))
        new.rename(state)
    shutil.rmtree(setup.folder, ignore_errors=True)


def _say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shape", choices=list(SHAPES), default="8b")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of weights, by commas")
    parser.add_argument("--batches", default="1,8,32,128", help="facts in an edit, by commas")
    parser.add_argument("--facts", default="1000,10000", help="facts in a rebuild, by commas")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds after which an edit is ended")
    parser.add_argument("--lines", type=int, default=10_000, help="lines of reference text, at most")
    parser.add_argument("--state", type=Path, default=Path("gpu.json"), help="file of what was measured")
    given = parser.parse_args()
    batches, facts = ([*map(int, numbers.split(","))] for numbers in (given.batches, given.facts))
    setup = Setup(
        given.shape, given.device, batches, facts, given.limit, given.lines, given.state.with_suffix(".model")
    )
    run(setup, given.kinds.split(","), given.state)


if __name__ == "__main__":
    main()
