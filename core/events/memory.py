"""Events of the beginning of a memory. See `core/events/` for the rules of all events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.facts import RelationWords
from core.hyperparameters import Hyperparameters
from core.ids import Digest
from core.method import Method
from core.policy import SleepPolicy
from core.remember import Remember

NO_TEXT = Digest("")  # where a digest of reference text is not recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The base model of a memory.

    Attributes:
        name: Hugging Face id or absolute path.
        revision: commit of the hub repository; empty for a path.
        digest: SHA-256 of the contents of the model's files.
        digest_rule: which files the digest covers; see `core/weights/model/base_files.py`. Rule 1, used before 0.4,
            leaves out settings of generation and of the tokenizer.
        dtype: dtype of the edited modules: `float32`, `bfloat16` or `float16`. The weights digest covers it.
        quantization: quantization of all other modules: `none`, `int8` or `nf4`.
    """

    name: str
    revision: str
    digest: Digest
    dtype: str
    quantization: str
    digest_rule: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCreated:
    """A memory was created, with these settings.

    Attributes:
        modules: names of the modules that edits and adapters may change.
        key_width: dimensions of the key space of one module.
        phrasebook: prompt templates by relation.
        prefixes: texts put before raw statements, so that a fact is written for more than one context.
        reference_text: artifact of the reference text whose keys an edit must preserve; empty where the base model
            generates it (`StatisticsPrepared.reference_text`).
        capacity: largest key occupancy allowed, a share of the key space.
        seed: seed of everything drawn at random.
        sleep: policy of sleeps for which a client gives no other.
        keys_per_fact: dimensions of the key space that a fact is expected to take, by the model's profile; 0 if the
            profile does not say.
        method: how facts are written.
        remember: what happens with facts in turns of users whose requests do not say.
        keep_texts: days after the last turn of a conversation after which its texts are erased; 0 keeps them.
        about_user: whether it learns what a user says about themselves, which nothing names when it is asked.
    """

    base: BaseModel
    modules: tuple[str, ...]
    key_width: int
    hyperparameters: Hyperparameters
    phrasebook: Mapping[str, RelationWords]
    prefixes: tuple[str, ...]
    reference_text: Digest
    capacity: float
    seed: int
    sleep: SleepPolicy = field(default_factory=SleepPolicy)
    keys_per_fact: float = 0.0
    method: Method = Method.ANSWER_SITE
    remember: Remember = Remember.OFF
    keep_texts: int = 0
    about_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorStatistics:
    """MLP inputs at which detectors must stay silent.

    Attributes:
        mlp: name of the MLP whose inputs they are.
        artifact: the inputs at tokens of reference text, at first tokens and at names of strangers.
        tokens, names: number of inputs of reference text and of names.
    """

    mlp: str
    artifact: Digest
    tokens: int
    names: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsPrepared:
    """What edits must leave alone was measured: the covariance (second moment) of the edited modules' keys, or, for
    neurons, what the MLPs read.

    Attributes:
        artifact: the weighted covariance; for neurons, that of `detectors`, or the covariance in older logs.
        tokens, abstentions, recalls: number of keys of each kind, or of tokens, that it was measured on.
        weights: digest of the edited modules in the base model.
        keys_per_fact: dimensions of the key space that a sample fact takes; 0 if this was not measured.
        reference_text: artifact of the reference text that the base model generated; empty where the memory was created
            with a text.
        detectors: those of subjects are computed against, in a memory whose method is `neuron`; None for others.
        upper: those of facts are computed against, at an MLP further up; None also where they were prepared before
            facts had detectors.
    """

    artifact: Digest
    tokens: int
    abstentions: int
    recalls: int
    weights: Digest
    keys_per_fact: float = 0.0
    reference_text: Digest = NO_TEXT
    detectors: DetectorStatistics | None = None
    upper: DetectorStatistics | None = None
