"""Takes a clause apart into relations and objects: "works as", "nurse" and "works at", "Charité"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.extraction import lexicon
from core.extraction.candidates import Modality
from core.extraction.clauses import Clause
from core.extraction.forms import Form, is_verb, third
from core.extraction.names import is_name, is_pronoun, noun_phrase, split_name
from core.extraction.words import Tree, Word
from core.library import Entry, ending_of, entry_of, is_of_kind

_ARTICLE = re.compile(r"^(?:a|an|the) ", re.IGNORECASE)
_TIMES = ("year", "date", "time", "month")
_TIMELY = frozenset("on at every from until by".split())
_LIKED = frozenset({"like", "love", "prefer"})  # "likes to swim", but "would like to swim"
_NAMING = frozenset({"named", "called"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A relation and its object, before the subject is known.

    Attributes:
        relation: "works as".
        object: "nurse".
        head: head of the object.
        words: words of the object.
        entry: what the library has for the relation, if it has it.
        modality: what the form of the verb, or the object, says of the time.
        flips: whether it is denied where the clause is not, and the reverse: "not in Oslo but in Bergen".
        denies: whether its own words deny it: "no brother", "neither a teacher nor a nurse".
        ends: relations that hold no longer with this object, if it is said in the past; see `core/library.py`.
        whichever: whether they hold no longer with any object: "quit her job".
    """

    relation: str
    object: str
    head: Word
    words: tuple[Word, ...]
    entry: Entry | None
    modality: Modality
    flips: bool = False
    denies: bool = False
    ends: tuple[str, ...] = ()
    whichever: bool = False


def arguments(tree: Tree, clause: Clause, negated: bool) -> Iterator[Argument]:
    """Yields the arguments of `clause`; `negated` says whether its verb is denied."""
    options = clause.forms
    if negated and (denied := _denied(tree, clause.verb)):
        options = (Form(said=denied, of_library=True), *options)
    yield from _of_clause(tree, clause.verb, options, negated)


def _of_clause(tree: Tree, verb: Word, options: tuple[Form, ...], negated: bool) -> Iterator[Argument]:
    become = tree.child(verb, "acomp") if verb.lemma == "get" else None
    if become is not None and become.tag == "VBN":  # "got engaged to"
        yield from _of_being(tree, verb, (Form(said="is", of_library=True),))
    elif verb.lemma == "be" and verb.dep not in ("aux", "auxpass"):
        yield from _of_being(tree, verb, options)
    else:
        yield from _of_verb(tree, verb, options, negated)


def _of_verb(tree: Tree, verb: Word, options: tuple[Form, ...], negated: bool) -> Iterator[Argument]:
    """Yields object, prepositions and infinitive of a verb."""
    direct = tree.child(verb, "dobj", "oprd", "attr") or _language(tree, verb)
    if direct is not None:
        whole = [
            argument
            for word in (*_prepositions(tree, verb, direct), *tree.children(direct, "prep"))
            for argument in _with_noun(tree, options, direct, word)
        ]
        yield from whole
        for head in _joined(tree, direct) if not any(argument.entry for argument in whole) else ():
            yield from _direct(tree, options, head)
    for index, preposition in enumerate(_prepositions(tree, verb, direct)):
        known = direct is not None or index > 0  # a second argument, unless it says when, how or with whom
        yield from _prepositional(tree, options, preposition, negated=negated, of_library=known)
    for adverb in tree.children(verb, "advmod", "prep"):
        if tree.child(adverb, "pobj") is None:
            for preposition in tree.children(adverb, "prep"):  # "moved away from", "dropped out of"
                yield from _prepositional(tree, _longer(options, adverb.low), preposition, of_library=True)
    but = negated and any(word.low == "but" for word in tree.children(verb, "cc"))
    for preposition in tree.children(verb, "conj"):
        if preposition.tag in ("IN", "TO"):  # "doesn't live in Oslo but in Bergen"
            for argument in _prepositional(tree, options, preposition, of_library=not negated):
                yield replace(argument, flips=but)
    below = tree.child(verb, "xcomp", "ccomp")
    if below is not None and not tree.child(below, "nsubj", "nsubjpass", "mark"):
        yield from _infinitive(tree, verb, options, below)


def _language(tree: Tree, verb: Word) -> Word | None:
    """Returns the language of "can speak Turkish", which parsers take for an adverb."""
    return next((word for word in tree.children(verb, "advmod") if word.kind == "LANGUAGE"), None)


def _with_noun(tree: Tree, options: tuple[Form, ...], direct: Word, preposition: Word) -> Iterator[Argument]:
    """Yields what the library has of a verb with a noun: "has an allergy to", "gives lessons in", "quit a job at"."""
    if direct.tag in ("NN", "NNS"):
        article = "" if direct.tag == "NNS" else "an " if direct.low[0] in "aeiou" else "a "
        yield from _prepositional(tree, _longer(options, f"{article}{direct.low}"), preposition, of_library=True)


def _longer(options: tuple[Form, ...], words: str) -> tuple[Form, ...]:
    return tuple(replace(form, said=f"{form.said} {words}") for form in options)


def _joined(tree: Tree, head: Word) -> Iterator[Word]:
    """Yields the objects that "and" joins, without the names after "two brothers, Max and Tim"."""
    several = head.tag == "NNS" and not is_name(head)
    return (word for word in tree.conjuncts(head) if word is head or not (several and is_name(word)))


def _direct(tree: Tree, options: tuple[Form, ...], head: Word) -> Iterator[Argument]:
    """Yields an object, or the name in it: "Rex", of the relation "has a dog named"."""
    words = [*noun_phrase(tree, head), *(part for word in tree.children(head, "acl") for part in tree.subtree(word))]
    naming = next((word for word in words if word.low in _NAMING), None)
    name = tree.words[naming.place + 1] if naming is not None and naming.place + 1 < len(tree.words) else None
    if naming is None or name is None or naming.place == words[0].place:
        whichever = _longer(options, f"a {head.low}")  # "quit her job"
        ends = any(ending_of(form.said) for form in whichever) and not _at(tree, head)
        yield from _argument(tree, whichever if ends else options, head)
        return
    while (above := tree.head(name)) is not None and above.place > name.place and name.dep == "compound":
        name = above
    noun = tree.said([word for word in words if word.place < naming.place])
    longer = _longer(options, f"{noun} {naming.low}")
    called = [word for word in noun_phrase(tree, name) if word.place > naming.place]
    yield from _argument(tree, longer, name, words=called)


def _at(tree: Tree, head: Word) -> bool:
    """Whether an object, or its verb, has a place with "at" or the like: "quit her job at Acme"."""
    bearers = [word for word in (head, tree.head(head)) if word is not None]
    return any(word.low in ("at", "with", "for", "as") for part in bearers for word in tree.children(part, "prep"))


def _object_of(tree: Tree, preposition: Word) -> Word | None:
    """Returns the object of a preposition, which may be a verb as in "fond of baking"."""
    below = tree.child(preposition, "pobj", "pcomp")
    return None if below is None or (below.dep == "pcomp" and below.tag != "VBG") else below


def _prepositional(
    tree: Tree, options: tuple[Form, ...], preposition: Word, *, negated: bool = False, of_library: bool = False
) -> Iterator[Argument]:
    """Yields the argument of a preposition, and of those joined to it; "but" turns a denial round."""
    longer = tuple(
        replace(form, said=f"{form.said} {preposition.low}", of_library=form.of_library or of_library)
        for form in options
    )
    object_ = _object_of(tree, preposition)
    if object_ is not None:
        for head in tree.conjuncts(object_):
            yield from _argument(tree, longer, head)
    but = any(word.low == "but" for word in tree.children(preposition, "cc"))
    for joined in tree.children(preposition, "conj"):
        if joined.tag in ("IN", "TO"):
            for argument in _prepositional(tree, options, joined, of_library=of_library):
                yield replace(argument, flips=negated and but)


def _prepositions(tree: Tree, verb: Word, direct: Word | None) -> list[Word]:
    """Returns the prepositions of a verb, and those that the parser hung on its object: "studies physics at MIT"."""
    of_verb = tree.children(verb, "prep", "agent", "dative")
    on_object = [word for word in tree.children(direct, "prep") if word.low != "of"] if direct is not None else []
    nested = [
        deeper
        for word in of_verb
        if (object_ := tree.child(word, "pobj")) is not None
        for deeper in tree.children(object_, "prep")
        if deeper.low in ("at", "for", "in") and word.low in ("as", "with")
    ]
    return [
        word for word in (*of_verb, *on_object, *nested) if word.tag in ("IN", "TO", "RP") and word.place > verb.place
    ]


def _infinitive(tree: Tree, verb: Word, options: tuple[Form, ...], below: Word) -> Iterator[Argument]:
    """Yields the arguments of "wants to live in Oslo" and "likes playing chess"."""
    to = "to " if any(word.low == "to" for word in tree.children(below, "aux")) else ""
    if not is_verb(below):
        yield from _argument(tree, options, below) if below.tag == "VBG" else ()  # "enjoys birdwatching"
        return
    if verb.lemma in lexicon.DENIED_BY:  # "stopped playing the cello"
        still = (Form(said=third(below.lemma)),)
        yield from (replace(argument, denies=True) for argument in _of_verb(tree, below, still, False))
        return
    if verb.lemma == "use" and to:  # "used to live in"
        before = (Form(said=third(below.lemma), modality=Modality.PAST),)
        yield from (replace(argument, ends=(argument.relation,)) for argument in _of_clause(tree, below, before, False))
        return
    inner = list(_of_verb(tree, below, (Form(said=f"{to}{below.low}"),), False))
    if not inner and not to and below.tag == "VBG" and verb.lemma in lexicon.DONE_GLADLY:
        yield from _argument(tree, options, below)
    for argument in inner:
        longer = _longer(options, argument.relation)
        yield from _argument(tree, _as_goal(verb, longer, below), argument.head)


def _as_goal(verb: Word, options: tuple[Form, ...], below: Word) -> tuple[Form, ...]:
    """Returns the forms of what is wanted or planned: facts only where the library has them."""
    would = options[-1].modality is Modality.HYPOTHETICAL
    if verb.lemma == "go":
        modality = Modality.FUTURE
    elif verb.lemma in lexicon.WISHED_BY and (verb.lemma not in _LIKED or would):
        modality = Modality.WISHED
    elif verb.lemma in lexicon.PLANNED_BY:
        modality = Modality.FUTURE
    elif verb.lemma in lexicon.REPORTED_BY:
        modality = Modality.QUOTED  # "is said to live in Oslo"
    elif verb.lemma in ("try", "need", "have", "seem", "appear", "claim", "pretend", "refuse", "fail", "attempt"):
        modality = Modality.HYPOTHETICAL
    else:
        return options
    return (*(replace(form, of_library=True) for form in options), replace(options[-1], modality=modality))


def _of_being(tree: Tree, verb: Word, options: tuple[Form, ...]) -> Iterator[Argument]:
    """Yields what the subject is."""
    for head in tree.children(verb, "attr", "acomp", "dobj"):
        goal = tree.child(head, "xcomp")
        if goal is not None:  # "is about to buy a house", "is able to play"
            modality = Modality.FUTURE if head.low == "about" else Modality.HYPOTHETICAL
            yield from _infinitive(tree, verb, (Form(said=f"is {head.low}", modality=modality),), goal)
            continue
        for part in tree.conjuncts(head):
            yield from _complement(tree, options, part)
    for preposition in (word for word in tree.children(verb, "prep") if word.place > verb.place):
        longer = _longer(options, preposition.low)
        object_ = tree.child(preposition, "pobj")
        if object_ is not None:
            yield from _argument(tree, longer, object_)


def _complement(tree: Tree, options: tuple[Form, ...], head: Word) -> Iterator[Argument]:
    """Yields one complement of "is": whole, or cut before the object that its preposition has."""
    preposition = tree.child(head, "prep")
    object_ = _object_of(tree, preposition) if preposition is not None else None
    if preposition is not None and object_ is not None and object_.low in lexicon.TRADES:
        of_trade = tuple(replace(form, of_library=True) for form in _longer(options, f"by {object_.low}"))
        yield from _argument(tree, (*of_trade, *options), head)  # "is a welder by profession"
        return
    if preposition is not None and object_ is not None:
        words = [word for word in noun_phrase(tree, head) if word.place < preposition.place]
        while len(words) > 1 and words[0].low in lexicon.DEGREES:
            words = words[1:]
        cut = f"{tree.said(words)} {preposition.low}"
        longer = _longer(options, cut)
        adjective = head.tag.startswith(("JJ", "VB", "RB"))
        of_name = preposition.low == "of" and is_name(object_)
        if adjective or of_name or _in_library(longer, tree.said(noun_phrase(tree, object_))):
            for joined in tree.conjuncts(object_):
                yield from _argument(tree, longer, joined)
            return
    quality = head.tag.startswith(("JJ", "RB"))
    if quality and head.low in lexicon.TRANSIENT:
        options = tuple(replace(form, modality=Modality.MOMENTARY) for form in options)
    yield from _argument(tree, options, head, whole=True)


def _in_library(options: tuple[Form, ...], object_: str) -> bool:
    return any(entry_of(form.said, object_) is not None for form in options)


def _argument(
    tree: Tree, options: tuple[Form, ...], head: Word, *, whole: bool = False, words: list[Word] | None = None
) -> Iterator[Argument]:
    """Yields the object around `head` with the first of `options` that fits it; `words` are its words, if given."""
    words = words or _object_words(tree, head, whole=whole)
    while len(words) > 2 and tree.said(words[-2:]).lower() in lexicon.HOW_MUCH:
        words = words[:-2]
    object_ = tree.said(words).strip("\"'“”‘’«»")
    if not object_ or head.tag in ("WDT", "WP", "WRB"):
        return
    denies = is_denied(tree, head)
    if len(words) == 1 and head.low in lexicon.ADVERBIAL and head.dep == "pobj":
        return
    bare = _ARTICLE.sub("", object_, count=1)
    timely = _is_time(head, object_)
    if len(words) > 1 and words[0].tag == "JJ" and entry_of(f"{options[0].said} {words[0].low}", "") is not None:
        options, words = _longer(options, words[0].low), words[1:]  # "speaks fluent"
        object_ = bare = tree.said(words)
    for form in options:
        entry = entry_of(form.said, bare) or entry_of(form.said, object_)
        if timely and not _of_that_time(entry, form.said, object_):
            continue
        ending = ending_of(form.said)
        if form.of_library and entry is None and ending is None:
            continue
        said = bare if entry is not None and entry.article else object_
        yield Argument(
            relation=form.said,
            object=said,
            head=head,
            words=tuple(words),
            entry=entry,
            modality=Modality.PAST if ending and form.modality is Modality.ASSERTED else form.modality,
            denies=denies,
            ends=ending.ends if ending else (),
            whichever=ending is not None and ending.whichever,
        )
        return


def is_denied(tree: Tree, head: Word) -> bool:
    """Whether the words of a noun phrase deny it: "no brother", "neither a teacher nor a nurse"."""
    words = [word for word in tree.children(head, "det", "preconj", "neg", "advmod") if word.place < head.place]
    if any(word.low in ("no", "not", "neither", "nor", "never", "hardly") for word in words):
        return True
    first = tree.head(head)
    return head.dep == "conj" and first is not None and any(word.low == "nor" for word in tree.children(first, "cc"))


def _object_words(tree: Tree, head: Word, *, whole: bool) -> list[Word]:
    """Returns the words of an object: the name alone of "her husband Tom", and "Portland, Oregon" with its comma."""
    alias = tree.child(head, "appos")
    if alias is not None and is_name(alias) and not is_name(head):
        return split_name(tree, alias)[1]
    words = noun_phrase(tree, head, whole=whole)
    if is_name(head) and (owner := tree.child(head, "poss")) is not None and is_pronoun(owner):
        return split_name(tree, head)[1]
    if alias is not None and is_name(alias) and head.kind == alias.kind == "GPE" and alias.place == words[-1].place + 2:
        return [*words, tree.words[alias.place - 1], alias]
    return words


def _is_time(head: Word, object_: str) -> bool:
    timely = head.kind in lexicon.TIME_KINDS and not is_of_kind("age", object_)
    return timely or any(is_of_kind(kind, object_) for kind in _TIMES)


def _of_that_time(entry: Entry | None, relation: str, object_: str) -> bool:
    """Whether the library's relation is one that has a time as object: "was born in" with a year."""
    if entry is None:
        return relation.rpartition(" ")[2] == "is"
    kinds = [kind for name, kind in entry.names if name == relation and kind]
    return bool(kinds) or relation.rpartition(" ")[2] in _TIMELY or relation.endswith((" is", " since"))


def _denied(tree: Tree, verb: Word) -> str:
    """Returns how the library may have a denied verb: "does not like"; "" for a verb with other helpers."""
    helpers = tree.children(verb, "aux")
    if [helper.lemma for helper in helpers] == ["do"] and helpers[0].low != "did":
        return f"does not {verb.lemma}"
    if len(helpers) == 1 and helpers[0].low in ("can", "ca"):
        return f"cannot {verb.lemma}"
    return ""
