"""Settings of torch and transformers, applied once a process."""

from __future__ import annotations

from service.settings import Settings


def prepare_torch(settings: Settings) -> None:
    """Sets the number of threads of torch, and turns off the progress bars of transformers."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
