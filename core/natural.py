"""Makes English questions for relations that are not in a phrasebook, as far as their words allow."""

from __future__ import annotations

import re

COMPLETIONS = (
    "Complete the sentence: ",
    "Please finish: ",
)  # users do not ask like this, so these are not evidence that a fact is healthy
_AUXILIARY = re.compile("(?P<verb>is|are|was|were|can|could|will|would|should|must|may|might)(?P<rest> .+)?")
_HAS = re.compile("has (?:a|an|the) (?P<noun>.+)")
_VERB = re.compile("(?P<verb>[a-z]{3,}s)(?P<rest> .+)?")  # in the third person
_NO_VERBS = frozenset({"does", "this", "always", "sometimes", "perhaps", "besides", "towards", "plus", "versus"})
_BASE = ((re.compile("(?<=..)ies$"), "y"), (re.compile("(?<=ss|sh|ch|zz|.x|.o)es$"), ""), (re.compile("s$"), ""))


def natural_question(relation: str) -> str | None:
    """Returns the question that a statement with `relation` answers, with `{s}` for the subject; None if unclear.

    "likes" gives "What does {s} like?", and "is reading" gives "What is {s} reading?".
    """
    if auxiliary := _AUXILIARY.fullmatch(relation):
        alone = auxiliary["verb"] in ("is", "are", "was", "were")
        return f"What {auxiliary['verb']} {{s}}{auxiliary['rest'] or ''}?" if auxiliary["rest"] or alone else None
    if possession := _HAS.fullmatch(relation):
        return f"What {possession['noun']} does {{s}} have?"
    action = _VERB.fullmatch(relation)
    if action is None or action["verb"] in _NO_VERBS:
        return None
    for ending, instead in _BASE:
        base, changed = ending.subn(instead, action["verb"])
        if changed:
            return f"What does {{s}} {base}{action['rest'] or ''}?"
    return None


def asked_by_people(questions: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of `questions` that are not commands to complete a sentence."""
    return tuple(question for question in questions if not question.startswith(COMPLETIONS))
