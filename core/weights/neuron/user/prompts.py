"""What users ask and say in the first person: about themselves, and about all else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random

from core.english.persons import of_users_own
from core.english.verbs import verbs
from core.facts import Fact, filled
from core.library import Entry, library
from core.weights.neuron.relations import Template, others, templates

WORDS = Path(__file__).parents[3] / "words"
HELD_OUT = 5  # one prompt in so many certifies detectors and is not trained on
KIN = (
    "my wife", "my husband", "my mother", "my father", "my brother", "my sister", "my son", "my daughter",
    "my best friend", "my boss", "my neighbour", "my cat", "my dog", "my grandmother", "my colleague", "my landlord",
    "my teacher", "my uncle", "my cousin", "my company", "my house", "my car", "my doctor", "my team",
)  # fmt: skip
_OF_NOUN = (
    "What {} should I choose?", "How do I find a good {}?", "Which {} would suit me?", "How do I change my {}?",
    "Why is my {} important?", "What can I do about my {}?", "What does my {} say about me?", "Is my {} a good one?",
    "Write a poem about my {}.", "I am not happy with my {}",
)  # fmt: skip
_OF_VERB = (
    "Where should I {}?", "How can I {} well?", "Why do I {}?", "What happens if I {}?", "Should I {}?",
    "How long can I {}?", "What should I know before I {}?", "I would like to {} because",
)  # fmt: skip

Text = tuple[str, bool]  # a prompt, and whether it is a question in chat


@cache
def asked_of_user(*, held_out: bool) -> tuple[Template, ...]:
    """Returns the library's prompts (`templates`) as users ask them about themselves."""
    turned = ((template, of_users_own(template.text)) for template in templates(held_out=held_out))
    return tuple(Template(template.entry, text, template.chat) for template, text in turned if text)


def asking_user_else(fact: Fact, *, held_out: bool) -> list[tuple[int, Template]]:
    """Returns those of them that do not ask for `fact`, with their numbers."""
    left = {entry.names for entry in others(fact)}
    return [pair for pair in enumerate(asked_of_user(held_out=held_out)) if pair[1].entry.names in left]


@cache
def asides(*, held_out: bool) -> tuple[Text, ...]:
    """Returns prompts in the first person that ask for no fact about the user: general ones, some with the words of
    relations, and the library's about relatives and belongings of the user."""
    nearby = map(_kind, chain.from_iterable(_nearby(entry) for entry in library()))
    return _half([*dict.fromkeys([*_listed("en-first-person.txt"), *nearby, *_of_kin()])], held_out)


@cache
def about_the_world(*, held_out: bool) -> tuple[Text, ...]:
    """Returns questions about the world, in whose answers people live, work and are born."""
    return _half(_listed("en-world.txt"), held_out)


def _half(texts: Sequence[Text], held_out: bool) -> tuple[Text, ...]:
    mixed = Random(0).sample(texts, len(texts))
    return tuple(text for number, text in enumerate(mixed) if (number % HELD_OUT == 0) is held_out)


def _listed(file: str) -> list[Text]:
    lines = (WORDS / file).read_text(encoding="utf-8").splitlines()
    return [_kind(line) for line in lines if not line.startswith("#")]


@cache
def digest_of_prompts() -> str:
    """Returns a digest of all these prompts, in their order."""
    texts = [
        [
            *((template.text, template.chat) for template in asked_of_user(held_out=held)),
            *asides(held_out=held),
            *about_the_world(held_out=held),
        ]
        for held in (False, True)
    ]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _kind(prompt: str) -> Text:
    return prompt, prompt.endswith(("?", "."))


def _nearby(entry: Entry) -> Iterator[str]:
    """Yields prompts with the nouns and the verb of a relation that do not ask for it."""
    names = [name for name, _ in entry.names]
    nouns = [name for name in names if not name.startswith(("'", "is ", "was ", "has ")) and not _said(name)]
    for number, noun in enumerate(nouns[:2]):
        yield from (prompt.format(noun) for prompt in _OF_NOUN[number::2])
    for verb in [verb for name in names[:1] if (verb := _verb(name))]:
        yield from (prompt.format(verb) for prompt in _OF_VERB)


def _verb(relation: str) -> str:
    """Returns the verb of a relation without its person: "live" of "lives in"; "" for none."""
    return verbs().third.get(relation.partition(" ")[0], "") if not relation.startswith("has ") else ""


def _said(relation: str) -> bool:
    """Whether a relation begins with a verb: "lives in", "grew up in"."""
    return bool(_verb(relation)) or relation.partition(" ")[0] in verbs().past


def _of_kin() -> Sequence[Text]:
    """Returns every third prompt of the library, each about one of `KIN`."""
    chosen = templates(held_out=False)[::3]
    return [(filled(template.text, KIN[number % len(KIN)]), template.chat) for number, template in enumerate(chosen)]
