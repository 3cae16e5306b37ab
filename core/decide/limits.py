"""Limits on the words of a fact, on its prompts, and on what its edit may change elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors.base import InvalidField
from core.errors.harm import Contaminated, FalseFiresExceeded
from core.facts import Fact, is_user
from core.ids import FactId
from core.policy import SleepPolicy
from core.texts import check_text, same_words
from core.unchanged import Contamination

MAX_BATCH = 256  # facts in one request
MAX_SUBJECT = 200  # characters
MAX_RELATION = 200
MAX_OBJECT = 200
MAX_PROMPT = 1000
MAX_PROMPTS = 40  # of one kind, for one fact


def check_fact(fact: Fact, path: str, generated: bool = False) -> None:
    """Checks the fields of `fact`: none may be empty or too long, and no prompt may contain the object.

    Args:
        path: path of the fact in the request, for error messages.
        generated: whether the memory made the prompts. These may contain the object by chance, as "It is known that"
            may; instead, the relation, which the client worded, must not contain it.

    Raises:
        InvalidField: for the first field that breaks a rule.
    """
    path = f"{path}." if path else ""
    for name, value, limit in (
        ("subject", fact.subject, MAX_SUBJECT),
        ("relation", fact.relation, MAX_RELATION),
        ("object", fact.object, MAX_OBJECT),
    ):
        check_text(value, f"{path}{name}", limit)
    if generated and re.search(rf"(?<!\w){re.escape(fact.object)}(?!\w)", fact.relation):
        raise _given_away(f"{path}relation", fact)
    wordings = fact.wordings
    for name, prompts in (
        ("statements", wordings.statements),
        ("questions", wordings.questions),
        ("probe_statements", wordings.probe_statements),
        ("probe_questions", wordings.probe_questions),
    ):
        field = f"{path}wordings.{name}"
        if not prompts and not name.startswith("probe"):
            raise InvalidField(field, "is empty; give at least one prompt")
        if len(prompts) > MAX_PROMPTS:
            raise InvalidField(field, f"has {len(prompts)} prompts, at most {MAX_PROMPTS} are allowed")
        for index, prompt in enumerate(prompts):
            _check_prompt(prompt, fact, f"{field}[{index}]", generated)
            if name.endswith("statements"):
                _check_end(prompt, fact, f"{field}[{index}]", generated)
    _check_prompt(wordings.answer, fact, f"{path}wordings.answer", generated)
    _check_end(wordings.answer, fact, f"{path}wordings.answer", generated)


def check_contamination(facts: Sequence[FactId], measured: Contamination | None, policy: SleepPolicy) -> None:
    """Checks that answers about others stay free of told objects, once `facts` are written.

    Raises:
        Contaminated: more of them say a told object than `policy` allows.
    """
    if measured is None:
        return
    others = max(measured.strangers, measured.namesakes)
    if others > policy.contamination_limit or measured.untold > policy.untold_limit:
        raise Contaminated(
            facts,
            strangers=measured.strangers,
            namesakes=measured.namesakes,
            untold=measured.untold,
            asked=measured.asked,
            limit=policy.contamination_limit,
            untold_limit=policy.untold_limit,
        )


def check_false_fires(facts: Sequence[FactId], before: float, added: float, policy: SleepPolicy) -> None:
    """Checks that neurons respond seldom enough in other text, once `facts` are written.

    Args:
        before, added: responses in a million tokens, of the neurons that stay in force and of those of `facts`; 0 for
            neurons that are not computed yet.

    Raises:
        FalseFiresExceeded: they would respond more often than `policy` allows, or do so as often already.
    """
    if before + added > policy.false_fires_limit or (before and before >= policy.false_fires_limit):
        raise FalseFiresExceeded(facts, before, added, policy.false_fires_limit)


def _check_prompt(prompt: str, fact: Fact, field: str, generated: bool) -> None:
    check_text(prompt, field, MAX_PROMPT)
    words = same_words(prompt)
    # not searched as a whole word, because many languages inflect names or write no spaces
    if not is_user(fact.subject) and same_words(fact.subject) not in words:
        raise InvalidField(field, f"does not name the subject {fact.subject!r}")
    if not generated and _whole(fact.object).search(_whole(fact.subject).sub(" ", words)):
        raise _given_away(field, fact)


def _check_end(prompt: str, fact: Fact, field: str, generated: bool) -> None:
    """Checks that `prompt` does not end in the first word of the object, as "plays the" does before "the cello"."""
    first, rest, _ = fact.object.partition(" ")
    if not generated and rest and prompt.endswith(f" {first}"):
        raise InvalidField(field, f"ends in {first!r}, with which the object {fact.object!r} begins; say it once")


def _given_away(field: str, fact: Fact) -> InvalidField:
    return InvalidField(field, f"contains the object {fact.object!r}, which the model must say by itself")


def _whole(words: str) -> re.Pattern[str]:
    """Returns a pattern that finds `words` in a result of `same_words`, but not inside a longer word or number."""
    return re.compile(rf"(?<!\w){re.escape(same_words(words))}(?!\w)")
