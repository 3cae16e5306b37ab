"""Takes an English relation apart into what a question with it needs: auxiliary, verb and last preposition."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from core.english.verbs import verbs

_BE = frozenset("is are was were isn't aren't wasn't weren't".split())
_MODAL = frozenset("can could will would should must may might can't cannot couldn't won't wouldn't shouldn't".split())
_DO = frozenset("does did do doesn't didn't don't".split())
_HAVE = {"has": "does", "had": "did", "have": "do", "hasn't": "", "haven't": "", "hadn't": ""}
_ADVERB = re.compile(r"\w{2,}ly|also|always|ever|never|often|once|seldom|sometimes|soon|still|twice")
_NO_ADVERB = frozenset("apply bully comply family fly multiply only rely reply supply tally ally".split())
_PLURAL = re.compile(
    r"(?:i|we|they|you)|.* and .*|(?:the|my|our|your|his|her|their) .*[^s]s|.*['’ʼ]s? .*[^s]s", re.IGNORECASE
)
PREPOSITIONS = frozenset(
    "about above after against among around as at before behind below beside between by during for from in inside into "
    "like near of off on onto out outside over past since through to toward towards under until up upon with".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A statement without its object.

    Attributes:
        before: auxiliary before the subject in a question: "does", "is".
        after: what follows the subject in a question: "study at", "allergic to".
        said: what follows the subject in a statement: "studies at", "is allergic to".
        verb: base of the verb; "be" where an auxiliary is alone.
        participle: whether `after` begins with a past participle: "was built in".
    """

    before: str
    after: str
    said: str
    verb: str
    participle: bool = False

    @property
    def preposition(self) -> str:
        """The last word, where it is a preposition; otherwise ""."""
        last = self.after.rpartition(" ")[2]
        return last if last in PREPOSITIONS else ""

    @property
    def bare(self) -> bool:
        """Whether an auxiliary has at most adverbs and a preposition behind it: "is", "is originally from"."""
        words = [word for word in self.after.split() if not _ADVERB.fullmatch(word)]
        return self.verb == "be" and " ".join(words) == self.preposition

    def without_preposition(self) -> Clause:
        """Returns the clause without its last word."""
        return replace(self, after=self.after.rpartition(" ")[0], said=self.said.rpartition(" ")[0])

    def before_noun(self, end: str) -> Clause:
        """Returns the clause without `end`: "knows" of "knows the language"."""
        return replace(self, after=self.after.removesuffix(end), said=self.said.removesuffix(end))

    def asked(self, word: str) -> str:
        """Returns the question that begins with `word`: "What" gives "What does {s} study?"."""
        return " ".join(filter(None, (word, self.before, "{s}", self.after))) + "?"

    def indirect(self, word: str) -> str:
        """Returns the question as a part of a sentence: "what {s} studies"."""
        return f"{word[0].lower()}{word[1:]} {{s}} {self.said}"


def clause_of(relation: str, subject: str) -> Clause | None:
    """Returns the parts of `relation`; None if it does not begin with an English verb."""
    words = relation.split()
    adverbs = []
    while words and _ADVERB.fullmatch(words[0].lower()) and words[0].lower() not in _NO_ADVERB:
        adverbs.append(words.pop(0).lower())
    if not words:
        return None
    first, rest = words[0].lower(), [*words[1:]]
    said = " ".join([*adverbs, first, *rest])
    if first in _HAVE:
        return _having(first, adverbs, rest, said)
    if first in _BE or first in _MODAL or first in _DO:
        return _with_auxiliary(first, adverbs, rest, said)
    table = verbs()
    if first == "used" and rest[:1] == ["to"]:
        return Clause(before="did", after=" ".join([*adverbs, "use", *rest]), said=said, verb=(rest[1:] or [""])[0])
    if first in table.third:
        before, base = "does", table.third[first]
    elif first in table.past and not (first in table.bases and _PLURAL.fullmatch(subject)):
        before, base = "did", table.past[first]
    elif first in table.bases and _PLURAL.fullmatch(subject):
        before, base = "do", first
    else:
        return None
    return Clause(before=before, after=" ".join([*adverbs, base, *rest]), said=said, verb=base)


def _with_auxiliary(first: str, adverbs: list[str], rest: list[str], said: str) -> Clause | None:
    """Returns the clause of an auxiliary; None for one other than a form of "be" that stands alone."""
    if not rest and first in _MODAL:
        return None
    words = [word for word in rest if word != "not" and not _ADVERB.fullmatch(word)]
    head, table = words[0] if words else "", verbs()
    if first in _DO and head not in table.bases:
        return Clause(before=first, after=" ".join([*adverbs, "do", *rest]), said=said, verb="do")
    passive = first in _BE or head == "be"
    if passive:
        head = next((word for word in words if word != "be"), "")
    participle = passive and head in table.participles
    verb = (table.participles.get(head) or _of_gerund(head) or "be") if passive else head
    before, negation = ("can", ["not"]) if first == "cannot" else (first, [])
    after = " ".join([*adverbs, *negation, *rest])
    return Clause(before=before, after=after, said=said, verb=verb, participle=participle)


def _having(first: str, adverbs: list[str], rest: list[str], said: str) -> Clause | None:
    """Returns the clause of "has visited" (an auxiliary) or of "has" (a verb)."""
    words = [word for word in rest if word not in ("not", "been") and not _ADVERB.fullmatch(word)]
    head, table = words[0] if words else "", verbs()
    if not rest and not _HAVE[first]:
        return None
    if head in table.participles or "been" in rest[:2] or not _HAVE[first]:
        verb = table.participles.get(head) or _of_gerund(head) or "be"
        return Clause(before=first, after=" ".join([*adverbs, *rest]), said=said, verb=verb)
    return Clause(before=_HAVE[first], after=" ".join([*adverbs, "have", *rest]), said=said, verb="have")


def _of_gerund(word: str) -> str:
    """Returns the base of "writing"; "" where the table has none."""
    stem, bases = word.removesuffix("ing"), verbs().bases
    if stem == word:
        return ""
    undoubled = stem[:-1] if stem[-1:] == stem[-2:-1] else stem
    return next((base for base in (f"{stem}e", stem, undoubled) if base in bases), "")
