"""Fetches models from a Hugging Face hub: the files that a digest covers, at one commit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core.errors.base import ModelUnavailable
from core.weights.model.base_files import COVERED, OF_PROJECT, RULE, config_in
from service.pulled.folder import PullFailed


def fetch_snapshot(name: str, revision: str, folder: Path, quiet: bool) -> str:
    """Fetches a model into `folder` and returns its commit; files that arrived there before are not fetched again.

    Raises:
        PullFailed: there is no such model or revision, it is gated, or no hub can be reached.
        ModelUnavailable: it is of a kind that cannot be edited; no weights are fetched then.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    if quiet:
        disable_progress_bars()
    try:
        commit = str(HfApi().model_info(name, revision=revision or None).sha)
        options: dict[str, Any] = {"repo_id": name, "revision": commit, "local_dir": folder}
        snapshot_download(**options, allow_patterns=["config.json"])
        config_in(folder)
        snapshot_download(**options, allow_patterns=[*COVERED[RULE], *OF_PROJECT])
    except ModelUnavailable:
        raise
    except Exception as error:  # its client raises errors of the libraries below it, which change
        raise PullFailed(_why(name, revision, error), model=name) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the hub's client notes about the download
    return commit


def _why(name: str, revision: str, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    match error:
        case GatedRepoError():
            return (
                f"{name!r} is gated: accept its terms on its page of the hub, set HF_TOKEN, and run the command again"
            )
        case RevisionNotFoundError():
            return f"{name!r} has no revision {revision!r}; leave --revision out for the newest"
        case RepositoryNotFoundError():
            return f"the hub has no model {name!r}, or a private one: check the id, or set HF_TOKEN"
        case _:
            reason = (str(error) or type(error).__name__).partition("\n")[0]
            return (
                f"no hub can be reached for {name!r} ({reason}): check the network, set HF_ENDPOINT to a mirror, or "
                "copy the model's folder here and name its path in `hypnogram memory create --model PATH`"
            )
