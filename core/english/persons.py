"""Words prompts about a person for the user about themselves: "Where does {s} live?" is "Where do I live?".

Only what can be turned with certainty is: "the home of {s}" and "{s} and the family" have no first person that people
would say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.english.clauses import PREPOSITIONS
from core.english.verbs import verbs
from core.facts import RelationWords

_SUBJECT = "{s}"
_LAST = re.compile(r"(?:^|[\s(])(?P<word>[^\s(]+) ?$")
_NEXT = re.compile(
    r"^ (?P<adverbs>(?:(?:\w+ly|also|always|ever|just|never|now|often|still) )*)(?P<verb>\w+)(?P<rest>.*)$"
)
_OTHERS = re.compile(r"\b(?:he|her|hers|herself|him|his|she|their|theirs|them|themselves|they)\b", re.IGNORECASE)
_OWN = re.compile(r"\b(?:I|me|mine|my|myself)\b")  # of whoever asks about another
_ASKER = re.compile(r"\b(?:can|could|do|may|must|should|would) I\b")  # "what number can I call {s} on"
_JOINED = re.compile(r"\b(?:and|but|or|that|which|who) (?P<verb>\w+)")
_ASKING = frozenset("because but how if that though what when where whether which while who whom whose why".split())
_BEHIND = frozenset("about as before behind beside by for from on than to towards with without".split())
_TAKING = frozenset(
    "ask brings brought call calls find gave get gets give gives join keep keeps let make makes meet see send tell "
    "tells visit".split()
)
_AUXILIARIES = frozenset("can could did had may might must should was will would".split())
_RELATIVE = re.compile(r"\b(?:a|one|only|the|what|which) (?:[\w-]+ ){0,2}(?P<noun>[\w-]+) $", re.IGNORECASE)
_INDIRECT = re.compile(
    r"(?:Do you know|Can you tell me|Could you tell me|Tell me) "
    r"(?P<asked>(?:how|my|what|when|where|which|who) [^,:]+?)[.?]"
)
_DONE = re.compile(
    r"(?P<ask>(?:In |For |To )?(?:What|Where|Which|Who|what|which)(?: \w+){0,2}) do I (?P<rest>[^,:]+)[?]"
)
_OWNED = re.compile(r"(?P<ask>What|Where|Who) (?P<verb>is|are) my (?P<rest>[^,:]+(?<!called)(?<!named))[?]")
_BEST = 6  # questions before those that are asked again


@dataclass(frozen=True, slots=True)
class _Person:
    """How a person is spoken of who speaks, or is spoken to.

    Attributes:
        forms: of verbs, by their third person.
    """

    subject: str
    object: str
    owner: str
    forms: Mapping[str, str]


_FIRST = _Person("I", "me", "my", {"is": "am", "has": "have", "does": "do", "was": "was"})
_SECOND = _Person("you", "you", "your", {"is": "are", "has": "have", "does": "do", "was": "were"})


def of_user(words: RelationWords) -> RelationWords:
    """Returns those of `words` that can be turned as the user says and asks them, and the answer as it is said to the
    user, where it can be turned."""
    questions = _all(words.questions)
    return RelationWords(
        statements=_all(words.statements),
        questions=(*questions[:_BEST], *_asked_again(questions), *questions[_BEST:]),
        answer=said_to_user(words.answer) or "",
        probe_statements=_all(words.probe_statements),
        probe_questions=_all(words.probe_questions),
        many=words.many,
    )


def of_users_own(prompt: str) -> str | None:
    """Returns a prompt with `{s}` as the user words it; None if it cannot be turned."""
    return _turned(prompt, _FIRST)


def said_to_user(prompt: str) -> str | None:
    """Returns a prompt with `{s}` as it is said to the user: "You live in"; None if it cannot be turned."""
    return _turned(prompt, _SECOND)


def _all(prompts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(of_users_own, prompts))))


def _asked_again(questions: Sequence[str]) -> tuple[str, ...]:
    """Returns questions as who said it before asks them: "Do you remember where I live?", "Where did I say I live?"."""
    indirect = [match["asked"] for question in questions if (match := _INDIRECT.fullmatch(question))]
    said = [match for question in questions if (match := _DONE.fullmatch(question))]
    owned = [match for question in questions if (match := _OWNED.fullmatch(question))]
    again = (
        *(f"Do you remember {words}?" for words in indirect[:2]),
        *(f"Can you remind me {words}?" for words in indirect[:1]),
        *(f"{match['ask']} did I say I {match['rest']}?" for match in said[:1]),
        *(f"{match['ask']} was it again that I {match['rest']}?" for match in said[1:2]),
        *(f"Hey, {match[0][:1].lower()}{match[0][1:]}" for match in said[2:3]),
        *(f"{match['ask']} did I tell you my {match['rest']} {match['verb']}?" for match in owned[:1]),
        *(f"I forgot: {match['ask'].lower()} {match['verb']} my {match['rest']} again?" for match in owned[1:2]),
    )
    return tuple(dict.fromkeys(question for question in again if question not in questions))


def _turned(prompt: str, person: _Person) -> str | None:
    """Returns `prompt` in that person; None if it cannot be turned."""
    before, subject, after = prompt.partition(_SUBJECT)
    if not subject or _SUBJECT in after or _OTHERS.search(prompt) or _OWN.search(after) or _ASKER.search(before):
        return None
    last = _LAST.search(before)
    word = last["word"].lower() if last else ""
    if after.startswith("'s ") and word != "of":
        return _begun(f"{before}{person.owner}{after[2:]}")
    if word in person.forms and prompt.endswith("?"):
        begin, form = before[: -len(word) - 1], person.forms[word]
        return _begun(f"{begin}{form if begin else form.capitalize()} {person.subject}{after}")
    if word in _AUXILIARIES:
        return _begun(f"{before}{person.subject}{after}")
    if word in _BEHIND or word in _TAKING:
        return _begun(f"{before}{person.object}{after}")
    if not word or word.endswith((",", ":", ";")) or word in _ASKING or _is_relative(before):
        said = _agreeing(after, person)
        return said and _begun(f"{before}{person.subject}{said}")
    return None


def _is_relative(before: str) -> bool:
    """Whether a clause without a pronoun begins: in "the place {s} calls home", and not in "the home of {s}"."""
    noun = _RELATIVE.search(before)
    return noun is not None and noun["noun"].lower() not in PREPOSITIONS | verbs().third.keys() | {"is", "was"}


def _agreeing(after: str, person: _Person) -> str | None:
    """Returns what follows a subject, with its verb in that person; None where its verb is not known."""
    following = _NEXT.match(after)
    if following is None:
        return None
    verb, table = following["verb"], verbs()
    if verb in person.forms:
        said = person.forms[verb]
    elif verb in _AUXILIARIES or verb in table.past:
        said = verb
    elif verb in table.third:
        said = table.third[verb]
    else:
        return None
    joined = _JOINED.search(following["rest"])
    if joined and (joined["verb"] in table.third or joined["verb"] in person.forms):
        return None
    return f" {following['adverbs']}{said}{following['rest']}"


def _begun(prompt: str) -> str:
    """Returns `prompt` with a capital at its beginning."""
    return prompt[:1].upper() + prompt[1:]
