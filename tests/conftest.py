"""What every test shares: quiet, offline, one torch thread, and hypothesis without clocks."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: two workers share two cores
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["HYPNOGRAM_CONFIG"] = os.devnull  # not the settings of whoever runs the tests
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

if os.environ.get("HYPNOGRAM_TEST_AMX") == "off":  # as on a processor without matrix units
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE"  # before torch is imported; other processes inherit it
    import torch

    torch.cpu._is_amx_tile_supported = torch.cpu._is_avx512_bf16_supported = lambda: False

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

LONGEST_FIRST = (  # so that one worker does not begin a test of minutes when the others have nothing left
    "tests/service/executor/test_neurons.py",
    "tests/service/executor/",
    "tests/benchmarks/",
    "tests/service/test_",
    "tests/service/cli/test_up.py",
    "tests/packaging/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        starts = (item.nodeid.startswith(beginning) for beginning in LONGEST_FIRST)
        return next((number for number, begins in enumerate(starts) if begins), len(LONGEST_FIRST))

    items.sort(key=rank)
