"""Extracts candidates for facts from what a user says, and decides which of them are facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.english.clauses import PREPOSITIONS
from core.english.verbs import verbs
from core.extraction import lexicon
from core.extraction.antecedents import Mention, mentions, resolved
from core.extraction.arguments import arguments
from core.extraction.candidates import Candidate, Modality, Reason
from core.extraction.clauses import Clause, clauses
from core.extraction.forms import third
from core.extraction.grounding import OwnWords, own_words
from core.extraction.kin import Apposition, appositions
from core.extraction.mood import Mood, clause_mood, is_dated, is_no_longer, is_over, is_timed, sentence_mood
from core.extraction.names import Known, Party, is_name, noun_phrase, party
from core.extraction.objects import Argument, is_denied
from core.extraction.passages import Passages, passages, without_asides
from core.extraction.phrases.acts import jokes
from core.extraction.phrases.choice import Understood, beside, understood
from core.extraction.phrases.frames import framed
from core.extraction.phrases.meant import Understanding
from core.extraction.phrases.plain import are_whole
from core.extraction.repairs import is_english, repaired
from core.extraction.words import Parser, Tree, Word
from core.facts import USER
from core.library import Entry, entry_of
from core.texts import same_words, sentence

MAX_WORDS = 80  # of a sentence; nothing is learned from a longer one, in which a parser is mostly wrong
MAX_WORDS_OF_A_REMARK = 10  # about the sentence before it, with its punctuation marks
_LONG = re.compile(r"\S{150,}")  # which is not a word, and takes a tokenizer quadratic time
_BY_KNOWN = {
    Known.PRONOUN: Reason.SUBJECT_NOT_NAMED,
    Known.UNNAMED: Reason.SUBJECT_NOT_NAMED,
    Known.AMBIGUOUS: Reason.AMBIGUOUS,
}
_OF_TIME = frozenset({Modality.PAST, Modality.FUTURE, Modality.MOMENTARY})
_ENDS = PREPOSITIONS | {"is", "are", "was", "were", "named", "called"}
_OWNED = re.compile(r"(?:my|his|her|its|our|their) (?=.)", re.IGNORECASE)  # "sold her Volvo"
_UNSURE = frozenset({Modality.QUOTED, Modality.HYPOTHETICAL})  # by verbs above, of which not all are known
_NAMES = frozenset({"NNP", "NNPS", ",", ":", ".", "CC"})
_MARKS = frozenset(",;:.!…-–—")
_STAYING = frozenset({"is in", "is at", "is on", "is with", "is near"})


def extract(text: str, parser: Parser) -> tuple[Candidate, ...]:
    """Returns the candidates of one turn of a user in the order of the text, each once.

    A candidate without a `reason` is a fact.
    """
    parts = passages(text)
    quoted = {piece.start: piece.quoted for piece in parts.pieces}
    trees: list[tuple[Tree, bool]] = []
    for piece in parts.pieces:
        shown = without_asides(text[piece.start : piece.end])
        parsed = parser.parse(_LONG.sub(lambda run: " " * len(run[0]), shown))
        read = (tree for tree in parsed if 0 < len(tree.words) <= MAX_WORDS)
        trees += ((_moved(tree, text, piece.start), quoted[piece.start]) for tree in read)
    whole = repaired([tree for tree, _ in trees])
    trees = [(tree, is_quoted) for tree, (_, is_quoted) in zip(whole, trees, strict=True)]
    english = [(tree, is_quoted) for tree, is_quoted in trees if is_english(tree)]
    turn = _Turn(text, parts, english, parser)
    candidates = [candidate for index in range(len(english)) for candidate in turn.candidates(index)]
    return _corrected(_once(candidates), text)


class _Turn:
    """The sentences of one turn, with what its pronouns may stand for."""

    def __init__(self, text: str, parts: Passages, trees: Sequence[tuple[Tree, bool]], model: Understanding) -> None:
        self._model = model
        self._parts = parts
        self._trees = trees
        self._own: OwnWords = own_words(text, parts)
        self._mentions: list[Mention] = mentions(tree for tree, is_quoted in trees if not is_quoted)

    def candidates(self, index: int) -> Iterator[Candidate]:
        """Yields the candidates of one sentence."""
        tree, is_quoted = self._trees[index]
        mood = Modality.QUOTED if is_quoted else sentence_mood(tree, joking=self._is_joke(index))
        for stated in appositions(tree):
            yield self._judged(tree, self._of_apposition(tree, stated, mood), stated.subject, stated.words[-1])
        for clause in clauses(tree):
            how = clause_mood(tree, clause, mood)
            both = list(self._of_both(tree, clause, how))
            yield from both
            how = self._framed(index, clause, how, mood)
            parsed = [
                (argument.head, self._of_clause(tree, clause, argument, subject, how))
                for argument in (arguments(tree, clause, not how.positive) if not both else ())
                for subject in clause.subjects
            ]
            yield from self._understood(tree, clause, how, parsed) if not both else ()

    def _framed(self, index: int, clause: Clause, how: Mood, sentence: Modality) -> Mood:
        """Returns the mood of a clause by the words around it, where neither its own words nor its sentence tell it."""
        tree, before = self._trees[index][0], ""
        unsure = how.positive and how.modality in _UNSURE and clause.verb.dep == "ccomp"
        if sentence is not Modality.ASSERTED or not (how == Mood() or unsure):
            return how
        if all(party(tree, subject).known is Known.UNNAMED for subject in clause.subjects):
            return how
        if index and (introduction := self._trees[index - 1][0]).words[-1].text == ":":
            before = introduction.said(introduction.words)
        return framed(tree, clause, how, before, self._model)

    def _understood(
        self, tree: Tree, clause: Clause, how: Mood, parsed: Sequence[tuple[Word, Candidate]]
    ) -> Iterator[Candidate]:
        """Yields what the grammar found in a clause, and in the place of what the library lacks what it means."""
        stated, left = beside(tree, clause, parsed, understood(tree, clause, self._model))
        yield from (self._of_meaning(tree, clause, sense, how) for sense in stated)
        is_whole = are_whole(tree, clause, parsed)
        for candidate in left:
            in_part = candidate.accepted and not candidate.meaning and not is_whole
            yield replace(candidate, reason=Reason.IN_PART) if in_part else candidate

    def _of_meaning(self, tree: Tree, clause: Clause, sense: Understood, how: Mood) -> Candidate:
        """Returns the candidate of what a clause means."""
        whom, words = party(tree, sense.pair.subject), sense.pair.words
        if sense.relation.startswith("'s ") and whom.owned:
            whom = replace(whom, owned="")  # "Robin's favourite food has to be": the relation has the noun
        modality = how.modality if how.modality is not Modality.ASSERTED else sense.modality
        over = bool(sense.ends) or (modality is Modality.PAST and is_over(tree, clause.verb))
        positive = how.positive or (bool(sense.ends) and is_no_longer(tree, clause.verb))
        candidate = Candidate(
            subject="",
            relation=sense.relation,
            object=sense.object,
            meaning=sense.entry.meaning,
            about_user=False,
            start=min(whom.start, clause.verb.start, words[0].start),
            end=max(whom.end, clause.verb.end, words[-1].end),
            sentence=tree.span,
            positive=positive,
            modality=Modality.QUOTED if self._parts.is_quoted(clause.verb.start) else modality,
            ends=(sense.ends or (sense.relation,)) if over and positive else (),
        )
        return self._judged(tree, candidate, whom, sense.pair.head)

    def _of_both(self, tree: Tree, clause: Clause, how: Mood) -> Iterator[Candidate]:
        """Yields what "are married" says of two names, if the library has "is married to" of both alike."""
        said = clause.verb if clause.verb.tag == "VBN" else tree.child(clause.verb, "acomp")
        if len(clause.subjects) != 2 or said is None or tree.child(said, "prep"):
            return
        first, second = (party(tree, subject) for subject in clause.subjects)
        entry = entry_of(f"is {said.low} to", second.name)
        if entry is None or not entry.mutual:
            return
        candidate = Candidate(
            subject="",
            relation=f"is {said.low} to",
            object=second.name,
            meaning=entry.meaning,
            about_user=False,
            start=min(first.start, said.start),
            end=max(second.end, said.end),
            sentence=tree.span,
            positive=how.positive,
            modality=how.modality,
        )
        yield self._judged(tree, candidate, first, clause.subjects[1])

    def _is_joke(self, index: int) -> bool:
        """Whether a part of the sentence, or a later and short one, says that it is a joke."""
        tree, *later = (tree for tree, _ in self._trees[index:])
        if any(len(after.words) <= 5 and lexicon.JOKES.search(after.said(after.words)) for after in later):
            return True
        short = [after for after in later if len(after.words) <= MAX_WORDS_OF_A_REMARK]
        said = [_without_statements(tree, lexicon.USER_WORDS), *map(_without_statements, short)]
        return any(jokes(part, self._model) for part in said)

    def _of_apposition(self, tree: Tree, stated: Apposition, mood: Modality) -> Candidate:
        entry = entry_of(stated.relation, stated.object)
        return Candidate(
            subject="",
            relation=stated.relation,
            object=stated.object,
            meaning=entry.meaning if entry is not None else "",
            about_user=False,
            start=min(stated.subject.start, stated.words[0].start),
            end=stated.words[-1].end,
            sentence=tree.span,
            modality=mood,
        )

    def _of_clause(self, tree: Tree, clause: Clause, argument: Argument, subject: Word, how: Mood) -> Candidate:
        whom, relation, object_, head = party(tree, subject), argument.relation, argument.object, argument.head
        words, entry = argument.words, argument.entry
        turned = _turned(tree, subject, argument) if relation == "is" else None
        if turned is not None and is_name(subject) and (mutual := _mutual(turned)) is not None:
            relation, object_, entry = mutual.names[0][0], turned.name, mutual  # "Ann is Tom's wife"
        elif turned is not None:
            whom, object_, head = turned, tree.said(noun_phrase(tree, subject)), subject
            entry = entry_of(f"{whom.owned} is", object_)
            object_ = object_[:1].lower() + object_[1:] if not is_name(head) and subject.place == 0 else object_
        if whom.owned and head is not subject and subject.tag == "NNS":
            relation = _plural(relation)  # "Otto's parents live in"
        positive = how.positive != argument.flips and not argument.denies and not is_denied(tree, subject)
        denial_is_known = not how.positive and relation.startswith(("does not", "cannot")) and entry is not None
        modality = how.modality if how.modality is not Modality.ASSERTED else argument.modality
        ends = () if is_timed(tree, clause.verb) else argument.ends
        if modality is Modality.PAST and not ends and is_over(tree, clause.verb):
            ends = (_present(clause.verb, relation),)
        if modality is Modality.ASSERTED and self._is_momentary(tree, clause, whom, relation, subject, entry):
            modality = Modality.MOMENTARY
        candidate = Candidate(
            subject="",
            relation=relation,
            object=object_,
            meaning=entry.meaning if entry is not None else "",
            about_user=False,
            start=min(whom.start, clause.verb.start, words[0].start),
            end=max(whom.end, clause.verb.end, words[-1].end),
            sentence=tree.span,
            positive=positive or denial_is_known,
            modality=Modality.QUOTED if self._parts.is_quoted(clause.verb.start) else modality,
            ends=ends,
            whichever=argument.whichever,
            now="" if entry is None or is_dated(tree, clause.verb) else entry.now,
        )
        return self._judged(tree, candidate, whom, head)

    def _is_momentary(
        self, tree: Tree, clause: Clause, whom: Party, relation: str, subject: Word, entry: Entry | None
    ) -> bool:
        """Whether the clause says of a moment what it says, as "is at the dentist" of a person."""
        if relation in _STAYING and subject.kind not in lexicon.THING_KINDS:
            return not whom.owned
        around = tree.said(tree.subtree(clause.verb, frozenset({"ccomp", "conj", "relcl"})))
        return entry is None and lexicon.MOMENT.search(around) is not None

    def _judged(self, tree: Tree, candidate: Candidate, whom: Party, head: Word) -> Candidate:
        """Returns `candidate` with its subject and, if it is not a fact, the reason."""
        whom = resolved(whom, self._mentions)
        about_user = whom.known is Known.USER
        relation, ends, now = candidate.relation, candidate.ends, candidate.now
        if whom.owned and (about_user or relation.rpartition(" ")[2] in _ENDS):
            relation = f"{whom.owned} {relation}"  # "Robin", "'s sister lives in"
            ends, now = tuple(f"{whom.owned} {ended}" for ended in ends), now and f"{whom.owned} {now}"
        elif whom.owned:
            whom = replace(whom, name=f"{whom.name}{whom.owned}", owned="")  # "Robin's dog", "likes"
        if candidate.ends:
            candidate = replace(candidate, object=_OWNED.sub("", candidate.object))
        entry = entry_of(relation, candidate.object)
        object_, vague = self._object(tree, candidate.object, head)
        if same_words(object_) == same_words(whom.name) and not whom.owned:
            vague = vague or Reason.OBJECT_NOT_NAMED  # "it" that is taken for the subject
        candidate = replace(
            candidate,
            subject=USER if about_user else whom.name,
            relation=relation,
            object=object_,
            about_user=about_user,
            meaning=entry.meaning if entry is not None else "" if whom.owned else candidate.meaning,
            ends=ends,
            now=now,
        )
        return replace(candidate, reason=self._reason(candidate, whom, vague))

    def _object(self, tree: Tree, object_: str, head: Word) -> tuple[str, Reason | None]:
        """Returns the object, with the name that its pronoun stands for, and what is wrong with it."""
        if head.low in lexicon.THIRD_PERSONS:
            whom = resolved(party(tree, head), self._mentions)
            if whom.known is Known.NAMED and not whom.owned:
                return whom.name, None
            return object_, Reason.AMBIGUOUS if whom.known is Known.AMBIGUOUS else Reason.OBJECT_NOT_NAMED
        first = same_words(object_).split()[:1]
        owned = [word for word in tree.children(head, "poss") if word.tag == "PRP$" and same_words(word.text) in first]
        vague = (
            head.low in lexicon.VAGUE or owned or any(word.low in lexicon.SAME for word in tree.children(head, "amod"))
        )
        return object_, Reason.OBJECT_NOT_NAMED if vague else None

    def _reason(self, candidate: Candidate, whom: Party, vague: Reason | None) -> Reason | None:
        """Returns why `candidate` is not a fact: what its sentence does with it comes first."""
        if not candidate.positive and candidate.modality in _OF_TIME:
            return Reason.NEGATED
        if candidate.modality is not Modality.ASSERTED:
            return Reason(candidate.modality.value)
        if not candidate.positive:
            return Reason.NEGATED
        if whom.known is not Known.NAMED and whom.known is not Known.USER:
            return _BY_KNOWN[whom.known]
        if vague is not None:
            return vague
        named = candidate.about_user or all(map(self._own.hold, candidate.subject.split("'s ")))
        grounded = named and self._own.hold(candidate.object, title=True)
        return None if grounded else Reason.NOT_GROUNDED


def _turned(tree: Tree, subject: Word, argument: Argument) -> Party | None:
    """Returns what "is" says of its complement, of which the grammar's subject is the object.

    In "Green is Robin's favourite colour", that is Robin's favourite colour. None where the subject comes first.
    """
    if tree.child(argument.head, "poss") is None or is_name(argument.head):
        return None
    whom = party(tree, argument.head)
    return whom if whom.owned and not party(tree, subject).owned else None


def _without_statements(tree: Tree, first: frozenset[str] = frozenset()) -> str:
    """Returns the parts of a sentence that state nothing of anybody, which alone tell that it jokes.

    Args:
        first: subjects of which the first part states something, too.
    """
    parts: list[list[Word]] = [[]]
    for word in tree.words:
        if word.text in _MARKS:
            parts.append([])
        parts[-1].append(word)
    persons = lexicon.THIRD_PERSONS - lexicon.THING
    said = [
        tree.said(part)
        for place, part in enumerate(parts)
        if not all(word.tag in _NAMES for word in part)
        and not _has_subject(part, persons if place else persons | first)
    ]
    return "".join(said)


def _has_subject(words: Sequence[Word], pronouns: frozenset[str]) -> bool:
    return any(word.dep in ("nsubj", "nsubjpass") and (is_name(word) or word.low in pronouns) for word in words)


def _mutual(whom: Party) -> Entry | None:
    """Returns the library's relation of who is "the wife of" a name, if it holds of both alike."""
    entry = entry_of(f"{whom.owned} is", whom.name) if whom.known is Known.NAMED else None
    return entry if entry is not None and entry.mutual else None


def _present(verb: Word, relation: str) -> str:
    """Returns `relation`, of a verb in the past, as it is said of the present: "lives in" of "lived in"."""
    return f"{third(verb.lemma)}{relation.removeprefix(verb.low)}"


def _plural(relation: str) -> str:
    """Returns `relation` with its verb in the plural."""
    first, _, rest = relation.partition(" ")
    verb = {"is": "are", "was": "were", "has": "have", "does": "do"}.get(first) or verbs().third.get(first, first)
    return f"{verb} {rest}".strip()


def _moved(tree: Tree, text: str, by: int) -> Tree:
    """Returns `tree`, of a piece that begins at character `by` of `text`, as one of the whole text."""
    return Tree(text, tuple(replace(word, start=word.start + by, end=word.end + by) for word in tree.words))


def _once(candidates: list[Candidate]) -> list[Candidate]:
    """Returns each fact once, where it is first accepted."""
    kept: dict[tuple[str, str, str], Candidate] = {}
    for candidate in candidates:
        key = (same_words(candidate.subject), same_words(candidate.relation), same_words(candidate.object))
        if key not in kept or (candidate.accepted and not kept[key].accepted):
            kept[key] = candidate
    return sorted(kept.values(), key=lambda candidate: (candidate.start, candidate.end))


def _corrected(candidates: list[Candidate], text: str) -> tuple[Candidate, ...]:
    """Returns `candidates`, of which a later sentence, or a later part of it, rejects those that it contradicts."""
    last: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        if candidate.accepted and _has_one_object(candidate):
            last[same_words(candidate.subject), candidate.meaning] = candidate
    judged: list[Candidate] = []
    for candidate in candidates:
        final = last.get((same_words(candidate.subject), candidate.meaning))
        replaced = (
            candidate.accepted
            and final is not None
            and (
                final.sentence != candidate.sentence
                or lexicon.CORRECTION.search(text, min(candidate.end, final.start), final.start) is not None
            )
            and sentence(final.object) != sentence(candidate.object)
        )
        judged.append(replace(candidate, reason=Reason.CORRECTED) if replaced else candidate)
    return tuple(judged)


def _has_one_object(candidate: Candidate) -> bool:
    entry = entry_of(candidate.relation, candidate.object)
    return entry is not None and not entry.many
