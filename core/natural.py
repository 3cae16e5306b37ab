"""Makes plain prompts of a relation, as versions before 0.4 did, which had neither the library nor `core.english`.

Facts of that time are known by them as worded by the memory. They are also the words of examples and measurements.
"""

from __future__ import annotations

import re
from dataclasses import replace

from core.facts import RelationWords

COMPLETIONS = (
    "Complete the sentence: ",
    "Finish the sentence: ",
    "Please finish: ",
)  # users do not ask like this, so these are not evidence that a fact is healthy
POSSESSIVE = re.compile("(?P<mark>['’ʼ]s?) (?P<noun>.+?)(?: (?P<verb>is|are|was|were))?")
PEOPLE = re.compile(
    r"\b(?:assistant|aunt|best man|boss|boyfriend|brother|child|coach|colleague|cousin|daughter|dentist|doctor|father|"
    r"friend|girlfriend|grand\w+|hero|husband|landlord|lawyer|manager|mother|neighbou?r|nephew|niece|partner|sister|son|"
    r"spouse|teacher|therapist|uncle|wife)s?$",
    re.IGNORECASE,
)  # nouns that are asked for with "who"
_SHORT = {
    "is": re.compile(r"['’ʼ]s (?P<rest>(?:an?|the|about|at|in|on|from|into|not) .+|(?:at|from|in|near|on))"),
    "has": re.compile(r"['’ʼ]s (?P<rest>(?:already|been|got|just|never) .+)"),
}
_ARTICLE = re.compile(" (?:a|an|the)$")
_APOSTROPHES = tuple("'’ʼ")
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


def joined(subject: str, relation: str) -> str:
    """Returns subject and relation as one text, without a space before a relation that begins with an apostrophe."""
    return f"{subject}{relation}" if relation.startswith(_APOSTROPHES) else f"{subject} {relation}"


def spelled_out(relation: str) -> str:
    """Returns `relation` with its verb in full: "is a member of" for "'s a member of"."""
    for verb, short in _SHORT.items():
        if match := short.fullmatch(relation):
            return f"{verb} {match['rest']}"
    return relation


def plain_words(relation: str) -> RelationWords:
    """Returns prompts for a relation that the phrasebook does not have: correct, if not elegant."""
    words = completions(relation)
    stated = _ARTICLE.sub("", relation.rstrip(" .?!"))
    question = natural_question(stated)
    if question is None:
        return words
    return replace(
        words,
        questions=(question, f"{words.answer} what?"),
        probe_questions=(f"Tell me what {joined('{s}', stated)}.",),
    )


def completions(relation: str) -> RelationWords:
    """Returns prompts that ask to complete a sentence. They work in any language, but people do not ask like that."""
    if (possessive := POSSESSIVE.fullmatch(relation)) and possessive["verb"]:
        return possessive_words(possessive["mark"], possessive["noun"], possessive["verb"])
    relation = relation.rstrip(" .?!") or relation
    said = joined("{s}", relation)
    natural = (f"What {relation} {{s}}?",) if relation in ("is", "are", "was", "were") else ()
    return RelationWords(
        statements=(said, f"It is known that {said}"),
        questions=(*natural, f"{said} what?", f"Complete the sentence: {said}"),
        answer=said,
        probe_statements=(f"As everybody knows, {said}",),
        probe_questions=(f"Please finish: {said}",),
    )


def possessive_words(mark: str, noun: str, verb: str) -> RelationWords:
    """Returns prompts for the `noun` of a subject; `mark` is what the subject ends in, usually "'s"."""
    owned = f"{{s}}{mark} {noun}"
    ask = "Who" if PEOPLE.search(noun) else "What"
    return RelationWords(
        statements=(f"{owned} {verb}", f"The {noun} of {{s}} {verb}"),
        questions=(f"{ask} {verb} {owned}?", f"{ask} {verb} the {noun} of {{s}}?"),
        answer=f"{owned} {verb}",
        probe_statements=(f"As everybody knows, {owned} {verb}",),
        probe_questions=(f"Tell me {owned}.",),
    )
