"""Takes a clause apart into relations and objects: "works as", "nurse" and "works at", "Charité"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core.extraction import lexicon
from core.extraction.candidates import Modality
from core.extraction.clauses import Clause
from core.extraction.forms import Form, is_verb, longer, third
from core.extraction.mood import is_no_longer
from core.extraction.names import is_name, noun_phrase
from core.extraction.objects import Argument, argument_of
from core.extraction.words import Tree, Word
from core.library import ending_of, entry_of

_LIKED = frozenset({"like", "love", "prefer"})  # "likes to swim", but "would like to swim"
_NAMING = frozenset({"named", "called"})


def arguments(tree: Tree, clause: Clause, negated: bool) -> Iterator[Argument]:
    """Yields the arguments of `clause`; `negated` says whether its verb is denied."""
    options = clause.forms
    if negated and not is_no_longer(tree, clause.verb) and (denied := _denied(tree, clause.verb)):
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
                yield from _prepositional(tree, longer(options, adverb.low), preposition, of_library=True)
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
        yield from _prepositional(tree, longer(options, f"{article}{direct.low}"), preposition, of_library=True)


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
        whichever = longer(options, f"a {head.low}")  # "quit her job"
        ends = any(ending_of(form.said) for form in whichever) and not _at(tree, head)
        yield from argument_of(tree, whichever if ends else options, head, whole=_says_little(tree, head))
        return
    while (above := tree.head(name)) is not None and above.place > name.place and name.dep == "compound":
        name = above
    noun = tree.said([word for word in words if word.place < naming.place])
    kept = options[-1].said in (third("keep"), third("own"))
    has = Form(said="has", modality=options[-1].modality, of_library=not kept)
    said = longer((has, *options) if kept else (*options, has), f"{noun} {naming.low}")
    called = [word for word in noun_phrase(tree, name) if word.place > naming.place]
    yield from argument_of(tree, said, name, words=called)


def _says_little(tree: Tree, head: Word) -> bool:
    """Whether an object is nothing without the name behind it: "has a position with Puma"."""
    articles = [word for word in tree.children(head) if word.low in ("a", "an")]
    objects = [_object_of(tree, word) for word in tree.children(head, "prep")]
    return bool(articles) and any(object_ is not None and is_name(object_) for object_ in objects)


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
    said = tuple(
        replace(form, said=f"{form.said} {preposition.low}", of_library=form.of_library or of_library)
        for form in options
    )
    object_ = _object_of(tree, preposition)
    if object_ is not None:
        for head in tree.conjuncts(object_):
            yield from argument_of(tree, said, head)
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
        yield from argument_of(tree, options, below) if below.tag == "VBG" else ()  # "enjoys birdwatching"
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
        yield from argument_of(tree, options, below)
    for argument in inner:
        said = longer(options, argument.relation)
        yield from argument_of(tree, _as_goal(verb, said, below), argument.head)


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
        if goal is not None and head.low == "able" and is_verb(goal):
            yield from _of_verb(tree, goal, (Form(said=f"can {goal.lemma}"),), False)
            continue
        if goal is not None:  # "is about to buy a house"
            modality = Modality.FUTURE if head.low == "about" else Modality.HYPOTHETICAL
            yield from _infinitive(tree, verb, (Form(said=f"is {head.low}", modality=modality),), goal)
            continue
        for part in tree.conjuncts(head):
            yield from _complement(tree, options, part)
    for preposition in (word for word in tree.children(verb, "prep") if word.place > verb.place):
        said = longer(options, preposition.low)
        object_ = tree.child(preposition, "pobj")
        if object_ is not None:
            yield from argument_of(tree, said, object_)


def _complement(tree: Tree, options: tuple[Form, ...], head: Word) -> Iterator[Argument]:
    """Yields one complement of "is": whole, or cut before the object that its preposition has."""
    preposition = tree.child(head, "prep")
    object_ = _object_of(tree, preposition) if preposition is not None else None
    if preposition is not None and object_ is not None and object_.low in lexicon.TRADES:
        of_trade = tuple(replace(form, of_library=True) for form in longer(options, f"by {object_.low}"))
        job = tuple(replace(form, said="works as") for form in options if form.said == "is")
        yield from argument_of(tree, (*of_trade, *job, *options), head)  # "is a welder by profession"
        return
    if preposition is not None and object_ is not None:
        words = [word for word in noun_phrase(tree, head) if word.place < preposition.place]
        while len(words) > 1 and words[0].low in lexicon.DEGREES:
            words = words[1:]
        cut = f"{tree.said(words)} {preposition.low}"
        said = longer(options, cut)
        adjective = head.tag.startswith(("JJ", "VB", "RB"))
        of_name = preposition.low == "of" and is_name(object_)
        if adjective or of_name or _in_library(said, tree.said(noun_phrase(tree, object_))):
            for joined in tree.conjuncts(object_):
                yield from argument_of(tree, said, joined)
            return
    quality = head.tag.startswith(("JJ", "RB"))
    if quality and head.low in lexicon.TRANSIENT:
        options = tuple(replace(form, modality=Modality.MOMENTARY) for form in options)
    yield from argument_of(tree, options, head, whole=True)


def _in_library(options: tuple[Form, ...], object_: str) -> bool:
    return any(entry_of(form.said, object_) is not None for form in options)


def _denied(tree: Tree, verb: Word) -> str:
    """Returns how the library may have a denied verb: "does not like"; "" for a verb with other helpers."""
    helpers = tree.children(verb, "aux")
    if [helper.lemma for helper in helpers] == ["do"] and helpers[0].low != "did":
        return f"does not {verb.lemma}"
    if len(helpers) == 1 and helpers[0].low in ("can", "ca"):
        return f"cannot {verb.lemma}"
    return ""
