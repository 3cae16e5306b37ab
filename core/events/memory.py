"""Events that begin a memory. See `core.events` for the rules of all events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.facts import RelationWords
from core.hyperparameters import Hyperparameters
from core.ids import Digest
from core.policy import SleepPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The pristine model under a memory.

    Attributes:
        name: Hugging Face id or absolute path.
        revision: commit of the hub repository; empty for a path.
        digest: SHA-256 over the checkpoint's files, by content.
        digest_rule: which files that covers, see `weights/model/base_files.py`. Rule 1, of before 0.4, left out some
            that decide on answers: settings of generation and of the tokenizer.
        dtype: of the edited modules, `float32`, `bfloat16` or `float16`; part of what the weights digest covers.
        quantization: of everything else: `none`, `int8` or `nf4`.
    """

    name: str
    revision: str
    digest: Digest
    dtype: str
    quantization: str
    digest_rule: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCreated:
    """A memory exists: its base, what may be edited and how, and how it speaks.

    `ordinary_text` is the artifact of the text whose keys an edit must keep; `prefixes` are put before raw
    statements so that a fact is written for more than one beginning of a text; `sleep` is how it sleeps unless a
    client says otherwise; `keys_per_fact` is what a fact is expected to take of the key space, as far as the model's
    profile says; 0 where it does not.
    """

    base: BaseModel
    modules: tuple[str, ...]
    key_width: int
    hyperparameters: Hyperparameters
    phrasebook: Mapping[str, RelationWords]
    prefixes: tuple[str, ...]
    ordinary_text: Digest
    capacity: float
    seed: int
    sleep: SleepPolicy = field(default_factory=SleepPolicy)
    keys_per_fact: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsPrepared:
    """What an edit must keep in general is an artifact now: the weighted second moments of the edited modules' keys.

    `tokens`, `abstentions` and `recalls` count the keys behind it; `weights` is the digest of the clean modules;
    `keys_per_fact` is how many dimensions of the key space an example of a fact takes, 0 where nobody measured it.
    """

    artifact: Digest
    tokens: int
    abstentions: int
    recalls: int
    weights: Digest
    keys_per_fact: float = 0.0
