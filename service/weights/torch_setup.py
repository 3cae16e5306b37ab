"""Settings of torch and transformers, applied once a process."""

from __future__ import annotations

from service.settings import Settings


def prepare_torch(settings: Settings) -> None:
    """Gives torch as many threads as the settings allow, and keeps transformers from drawing progress bars."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
