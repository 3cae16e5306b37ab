"""What people ask about a relation that no phrasebook knows: English questions, as far as its words tell."""

from __future__ import annotations

import re

COMPLETIONS = ("Complete the sentence: ", "Please finish: ")  # commands that no user gives: no evidence of health
_AUXILIARY = re.compile("(?P<verb>is|are|was|were|can|could|will|would|should|must|may|might)(?P<rest> .+)?")
_HAS = re.compile("has (?:a|an|the) (?P<noun>.+)")
_VERB = re.compile("(?P<verb>[a-z]{3,}s)(?P<rest> .+)?")  # in the third person
_NO_VERBS = frozenset({"does", "this", "always", "sometimes", "perhaps", "besides", "towards", "plus", "versus"})
_BASE = ((re.compile("(?<=..)ies$"), "y"), (re.compile("(?<=ss|sh|ch|zz|.x|.o)es$"), ""), (re.compile("s$"), ""))


def natural_question(relation: str) -> str | None:
    """The question that `relation`, "likes" or "is reading", answers, `{s}` its subject; None where it tells none."""
    if found := _AUXILIARY.fullmatch(relation):
        alone = found["verb"] in ("is", "are", "was", "were")
        return f"What {found['verb']} {{s}}{found['rest'] or ''}?" if found["rest"] or alone else None
    if found := _HAS.fullmatch(relation):
        return f"What {found['noun']} does {{s}} have?"
    found = _VERB.fullmatch(relation)
    if found is None or found["verb"] in _NO_VERBS:
        return None
    for ending, instead in _BASE:
        base, changed = ending.subn(instead, found["verb"])
        if changed:
            return f"What does {{s}} {base}{found['rest'] or ''}?"
    return None


def asked_by_people(questions: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `questions` that are no commands to complete a sentence."""
    return tuple(question for question in questions if not question.startswith(COMPLETIONS))
