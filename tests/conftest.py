"""What every test shares: quiet, offline, one torch thread, and hypothesis without clocks."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: two workers share two cores
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
