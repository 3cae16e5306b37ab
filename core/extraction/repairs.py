"""Repairs what parsers often get wrong, as names at the beginning of sentences, and tells what is not English."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.english.verbs import verbs
from core.extraction.lexicon import ENGLISH, FOREIGN, PERSONAL, VAGUE
from core.extraction.names import DAYS
from core.extraction.words import Tree, Word

_NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS"})
_PREDICATES = frozenset({"ROOT", "ccomp", "conj", "appos"})


def repaired(trees: Sequence[Tree]) -> list[Tree]:
    """Returns the sentences of one turn with the tags of names and the bases of verbs repaired.

    A first word is a name where the turn has it as one elsewhere, or where it has no article and is of a kind of names
    or does what people do: "Ann lives in Oslo".
    """
    names = {word.text: word for tree in trees for word in tree.words if word.tag == "NNP"}
    based = [_rehung(Tree(tree.text, tuple(_based(word) for word in tree.words))) for tree in trees]
    return [Tree(tree.text, tuple(_tagged(tree, word, names) for word in tree.words)) for tree in based]


def _rehung(tree: Tree) -> Tree:
    """Returns a sentence with verbs, and nouns after "to", where they belong."""
    words = list(tree.words)
    for word in tree.words:
        head = tree.head(word)
        if word.tag == "NNS" and word.low in verbs().third and word.place + 1 < len(words):
            _verb_again(tree, words, word, tree.words[word.place + 1])  # "Ann studies law", of three nouns
        if word.dep == "ROOT" and word.low in verbs().third and words[word.place].tag in ("NNS", "VBZ"):
            _after_name(tree, words, word)  # "Ann Smith chats in Dutch", of a noun with three names before it
        elif word.dep == "aux" and word.lemma in PERSONAL and head is not None and head.tag == "VBG":
            _swap(tree, words, word, head)  # "Ann loves rowing"
        elif word.dep == "aux" and word.low in ("has", "have") and head is not None and head.tag in _NOUNS:
            _swap(tree, words, word, head, "dobj")  # "Ann has perfect Dutch"
        elif word.dep == "ccomp" and word.tag in ("NN", "NNS", "VBG") and tree.child(word, "poss") and head is not None:
            words[word.place] = replace(word, tag="NN", dep="dobj")  # "makes her home in Oslo"
        elif word.tag == "IN" and head is None and tree.child(word, "nsubj") and word.low in verbs().bases:
            words[word.place] = replace(word, tag="VBP")  # "I really like tea"
        elif word.low == "more" and word.dep == "dobj" and [child.low for child in tree.children(word)] == ["any"]:
            words[word.place] = replace(word, tag="RBR", dep="advmod")  # "doesn't enjoy sailing any more"
        elif word.tag == "VB" and word.dep in ("xcomp", "acl", "relcl") and not _is_verb(word) and head is not None:
            to = tree.child(word, "aux")
            if to is not None and to.low == "to":  # "allergic to gluten"
                words[to.place] = replace(to, tag="IN", dep="prep", head=head.place)
                words[word.place] = replace(word, tag="NN", dep="pobj", head=to.place)
    return Tree(tree.text, tuple(words))


def _verb_again(tree: Tree, words: list[Word], verb: Word, noun: Word) -> None:
    """Makes `verb` a verb where a name stands before it and `noun`, which nothing else governs, after it."""
    name = tree.child(verb, "compound", "nsubj")
    if name is None or name.tag != "NNP" or not noun.tag.startswith("NN"):
        return
    if verb.head == noun.place and noun.dep in _PREDICATES:
        above = verb.place if noun.head == noun.place else noun.head
        words[verb.place] = replace(verb, tag="VBZ", lemma=verbs().third[verb.low], dep=noun.dep, head=above)
        for child in tree.children(noun):
            if child is not verb:
                words[child.place] = replace(words[child.place], head=verb.place)
    elif noun.head == verb.place and noun.dep == "appos" and verb.dep in _PREDICATES:
        words[verb.place] = replace(verb, tag="VBZ", lemma=verbs().third[verb.low])
    else:
        return
    words[noun.place] = replace(noun, dep="dobj", head=verb.place)
    words[name.place] = replace(name, dep="nsubj", head=verb.place)


def _after_name(tree: Tree, words: list[Word], verb: Word) -> None:
    """Makes the root of a sentence a verb where a name right before it is taken for a part of it."""
    name = next((word for word in tree.children(verb, "compound") if word.place == verb.place - 1), None)
    if name is None or name.tag != "NNP" or tree.child(verb, "nsubj", "nsubjpass"):
        return
    words[verb.place] = replace(verb, tag="VBZ", lemma=verbs().third[verb.low])
    words[name.place] = replace(name, dep="nsubj")
    for child in tree.children(verb, "compound"):
        if child is not name:
            words[child.place] = replace(child, head=name.place)


def _is_verb(word: Word) -> bool:
    return word.lemma in verbs().bases or word.lemma in ("be", "do", "have")


def _swap(tree: Tree, words: list[Word], verb: Word, below: Word, dep: str = "xcomp") -> None:
    """Puts `verb` in the place of `below`, which becomes its complement `dep` and keeps what follows the verb."""
    above = verb.place if below.head == below.place else below.head
    words[verb.place] = replace(verb, dep=below.dep, head=above)
    words[below.place] = replace(below, dep=dep, head=verb.place)
    for child in tree.children(below):
        if child.place < verb.place or child.dep == "punct":
            words[child.place] = replace(words[child.place], head=verb.place)


def _based(word: Word) -> Word:
    """Returns a verb with its base by the table: "hate" of "hates", which spaCy takes for "hat"."""
    table = verbs()
    if word.tag == "VBG" and _drops_its_e(word.low.removesuffix("ing")):
        return replace(word, lemma=f"{word.low.removesuffix('ing')}e")
    forms = {"VBZ": table.third, "VBD": table.past, "VBN": table.participles}.get(word.tag, {})
    known = _is_verb(word)
    base = forms.get(word.low)
    return word if base is None or (known and word.tag != "VBZ") or word.lemma == "be" else replace(word, lemma=base)


def _drops_its_e(stem: str) -> bool:
    """Whether a verb loses its last letter before "ing": "hop" of "hoping", because "hop" would double its "p"."""
    short = re.fullmatch(r"[^aeiou]+[aeiou][^aeiouwxy]", stem) is not None
    return short and f"{stem}e" in verbs().bases


def _tagged(tree: Tree, word: Word, names: Mapping[str, Word]) -> Word:
    """Returns a first word as a name, if it is one; and a name that is taken for a date without that."""
    if word.kind == "DATE" and word.tag == "NNP" and word.text.isalpha() and not DAYS.fullmatch(word.text):
        return replace(word, kind="")
    if word.tag not in ("NN", "NNS", "JJ", "UH") or word.low in VAGUE or not word.text[:1].isupper():
        return word
    if (known := names.get(word.text)) is not None:
        return replace(word, tag="NNP", kind=known.kind)
    head = tree.head(word)
    single = word.tag == "NN" or (word.tag == "NNS" and head is not None and head.tag == "VBZ")  # "Anders works"
    first = word.place == 0 and word.dep == "nsubj" and single and not tree.children(word)
    acts = head is not None and head.lemma in PERSONAL
    return replace(word, tag="NNP") if first and (acts or word.kind or word.tag == "NNS") else word


def is_english(tree: Tree) -> bool:
    """Whether the sentence has more little words of English than other languages, names aside."""
    words = [word.low for word in tree.words if word.text.islower() and not word.kind]
    foreign = sum(word in FOREIGN for word in words)
    return not foreign or sum(word in ENGLISH for word in words) > foreign
