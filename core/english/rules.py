"""Makes English prompts for a relation from its words."""

from __future__ import annotations

import re

from core.english.asking import Ask, how_to_ask, is_named, is_relative, small
from core.english.clauses import PREPOSITIONS, clause_of
from core.english.verbs import verbs
from core.facts import RelationWords
from core.library import is_of_kind, library_words
from core.natural import POSSESSIVE

_END = re.compile(r"[ .?!]+$")
_ARTICLE = re.compile(" (?:a|an|the)$")
_FORMS = frozenset("is are was were has had".split())
_NOUN = re.compile("(?P<noun>.+?)(?: (?P<verb>is|are|was|were))?")
_NAMED = re.compile("(?:has|had) an? (?P<noun>.+) (?:named|called)")
_HAVING = re.compile("(?P<verb>has|had) (?:(?:a|an|the) )?(?P<noun>(?!to |as ).+)")
_ATTRIBUTE = re.compile(
    r"(?:favou?rite|preferred) .+|(?:cause|date|name|number|place|type|year) of .+|(?:.+ )?(?:"
    r"address|age|allergy|ambition|architect|author|birthday|birthplace|brand|capital|cause|ceo|code|colou?r|"
    r"country|date|deadline|degree|designer|destination|diet|director|dream|drink|email|employer|father|fear|"
    r"food|founder|goal|group|height|hobby|hometown|instrument|job|language|leader|length|level|location|"
    r"major|manager|material|mayor|model|motto|name|nationality|nickname|number|occupation|opinion|origin|"
    r"owner|painter|password|pastime|pet|plan|population|position|president|price|product|profession|pronouns|"
    r"rank|record|religion|role|salary|score|sign|size|skill|speciali?ty|speed|sport|status|subject|surname|"
    r"team|temperature|theme|time|title|tongue|topic|type|university|username|value|venue|version|weight|"
    r"width|writer"
    r")"
)
_MOMENT = re.compile(r"\b(?:code|date|day|number|time|year)\b", re.IGNORECASE)


def english_words(subject: str, relation: str, object_: str) -> RelationWords | None:
    """Returns prompts for `relation` before `object_`; None if the rules do not know it as English."""
    said = _END.sub("", relation)
    said = f"{said[:1].lower()}{said[1:]}" if said[1:] == said[1:].lower() else said
    if part := _of_part(said):
        owned, rest = part
        words = english_words(f"{subject}{owned}", rest, object_)
        return words and _about(words, owned)
    possessive = POSSESSIVE.fullmatch(said)
    if possessive and not possessive["verb"] and possessive["noun"].rpartition(" ")[2] in PREPOSITIONS:
        said = f"is {possessive['noun']}"  # "'s allergic to"
    elif possessive:
        return _attribute(possessive["mark"], possessive["noun"], possessive["verb"] or "is", object_)
    stated = _ARTICLE.sub("", said)
    clause = clause_of(stated, subject)
    if clause is None:
        noun = _NOUN.fullmatch(stated)
        if noun and (noun["verb"] or _is_attribute(noun["noun"])):
            return _attribute("'s", noun["noun"], noun["verb"] or "is", object_)
        return None
    if clause.bare and not clause.preposition and is_named(subject) and is_of_kind("number", object_):
        return library_words("turned", object_)  # an age
    asks = how_to_ask(clause, subject, object_)
    if clause.verb == "have" and not clause.preposition:
        if named := _NAMED.fullmatch(stated):
            called = (f"{{s}}'s {named['noun']} is called", f"The name of {{s}}'s {named['noun']} is")
            return _sentences(f"{{s}} {said}", _names(named["noun"]), called)
        if possession := _HAVING.fullmatch(stated):
            asks = _possessions(possession["noun"], possession["verb"])
    return _sentences(f"{{s}} {said}", asks)


def _sentences(said: str, asks: tuple[Ask, ...], statements: tuple[str, ...] = ()) -> RelationWords:
    """Returns prompts that state `said`, and ask for its object by `asks`, the best way first."""
    first, second, third = (*asks, *(Ask(f"Tell me, {small(asks[0].question)}", asks[0].indirect),) * 2)[:3]
    return RelationWords(
        statements=(
            said,
            *statements,
            f"As far as I know, {said}",
            f"I have heard that {said}",
            f"It is a fact that {said}",
        ),
        questions=(
            first.question,
            f"Do you know {first.indirect}?",
            second.question,
            f"Can you tell me {first.indirect}?",
            third.question,
            f"Have you heard {first.indirect}?",
        ),
        answer=said,
        probe_statements=(f"People say that {said}", f"As everybody knows, {said}"),
        probe_questions=(f"Remind me, {small(first.question)}", f"Would you happen to know {first.indirect}?"),
    )


def _is_attribute(noun: str) -> bool:
    """Whether a relation that is a noun names what a subject has: "zodiac sign", "godmother"."""
    return _ATTRIBUTE.fullmatch(noun.lower()) is not None or is_relative(noun)


def _of_part(relation: str) -> tuple[str, str] | None:
    """Returns "'s car" and "broke down in" of "'s car broke down in"; None if no more than a noun is owned."""
    words = relation.split()
    if not relation.startswith(("'", "’", "ʼ")) or len(words) < 4:
        return None
    ends, table = words[-1] in PREPOSITIONS, verbs()
    for index in range(2, len(words) - 1):
        verb = words[index]
        plural = words[index - 1].endswith("s") and verb in table.bases
        if verb in _FORMS or (ends and (plural or verb in table.past or verb in table.third)):
            return " ".join(words[:index]), " ".join(words[index:])
    return None


def _about(words: RelationWords, owned: str) -> RelationWords:
    """Returns `words` about something of the subject's: "Where is {s}'s shop?" instead of "Where is {s}?"."""
    part = f"{{s}}{owned}"
    return RelationWords(
        statements=tuple(prompt.replace("{s}", part) for prompt in words.statements),
        questions=tuple(prompt.replace("{s}", part) for prompt in words.questions),
        answer=words.answer.replace("{s}", part),
        probe_statements=tuple(prompt.replace("{s}", part) for prompt in words.probe_statements),
        probe_questions=tuple(prompt.replace("{s}", part) for prompt in words.probe_questions),
    )


def _attribute(mark: str, noun: str, verb: str, object_: str) -> RelationWords:
    """Returns prompts for the `noun` of a subject; `mark` is what the subject ends in, usually "'s"."""
    owned, of = f"{{s}}{mark} {noun}", f"the {noun} of {{s}}"
    person = is_relative(noun) or is_of_kind("person", object_)
    moment = not _MOMENT.search(noun) and any(is_of_kind(kind, object_) for kind in ("date", "time"))
    word = "When" if moment else "Who" if person and not object_.startswith(("a ", "an ")) else "What"
    asks = tuple(Ask(f"{word} {verb} {what}?", f"{small(word)} {what} {verb}") for what in (owned, of))
    if word == "Who" and verb in ("is", "was"):
        asks = (*asks, Ask(f"What {verb} the name of {owned}?", f"what the name of {owned} {verb}"))
    return _sentences(f"{owned} {verb}", asks, (f"The {noun} of {{s}} {verb}",))


def _possessions(noun: str, verb: str) -> tuple[Ask, ...]:
    """Returns ways to ask for what a subject has: "What blood type does {s} have?"."""
    many = noun.endswith(("children", "s")) and not noun.endswith("ss")
    do, be = ("does", "are" if many else "is") if verb == "has" else ("did", "were" if many else "was")
    return (
        Ask(f"What {noun} {do} {{s}} have?", f"what {noun} {{s}} {verb}"),
        Ask(f"What {be} {{s}}'s {noun}?", f"what {{s}}'s {noun} {be}"),
    )


def _names(noun: str) -> tuple[Ask, ...]:
    """Returns ways to ask for a name: "What is the name of {s}'s parrot?"."""
    owned = f"{{s}}'s {noun}"
    return (
        Ask(f"What is the name of {owned}?", f"what the name of {owned} is"),
        Ask(f"What is {owned} called?", f"what {owned} is called"),
    )
