"""`hypnogram demo`: one memory seen by a client, from its first fact to a rebuild of its weights."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from service.demo import dormouse, smollm2
from service.demo.steps import console, environment_in
from service.pulled.folder import ModelFolder
from service.settings import Settings

STORIES = {"smollm2": smollm2.tell, "dormouse": dormouse.tell}


def run(model: str = "") -> None:
    """Runs the whole demo in a temporary folder.

    Args:
        model: a key of STORIES; by default SmolLM2 where it was pulled, else dormouse.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hypnogram-demo-") as folder:
        STORIES[model or chosen()](environment_in(Path(folder)))
    seconds = time.monotonic() - began
    console.print(f"\n[bold]Done[/] in {seconds:.0f} s. The server, its database and its weights are gone.")


def chosen() -> str:
    """Returns the model of the demo on this machine; says so where that is the stand-in."""
    if ModelFolder(Settings().model_folder).find(smollm2.MODEL):
        return smollm2.MODEL
    console.print(
        "SmolLM2 was not pulled, so this is the demo on dormouse, a toy; `hypnogram model pull smollm2` gets it.",
        soft_wrap=True,
    )
    return "dormouse"
