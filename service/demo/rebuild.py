"""Rebuilds the demo's weights in a process of its own, which gets the database and the artifacts alone."""

from __future__ import annotations

import json
import sys
from random import Random

from core.ids import MemoryId
from core.weights.evaluation.perplexity import perplexity
from models.dormouse import filler
from service.app.store import open_store
from service.demo.steps import MEMORY
from service.settings import Settings
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.projection import build_verified
from store.state.loading import load_state

PARAGRAPHS = 12  # of everyday text; fifty take half a minute


def main() -> None:
    """Prints the digest of the weights rebuilt from the log, and perplexity before and after."""
    settings, memory = Settings(), MemoryId(MEMORY)
    with open_store(settings) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        report = models.replay(memory, None, lambda done, total, what: None, lambda: False)
        folded = load_state(store.log, store.snapshots, memory)
        assert folded.created is not None
        model = models.bases.clone(folded.created)
        texts = [filler.paragraph(Random(number)) for number in range(PARAGRAPHS)]
        before = perplexity(model, texts)
        model.install(build_verified(model, DeltaStore(store.artifacts, store.log.keyring), folded))
        measured = {
            "rebuilt": report.rebuilt,
            "checked": report.edits_checked,
            "perplexity_before": before,
            "perplexity_after": perplexity(model, texts),
        }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
