"""Says whether what was found in a clause is all that the clause says.

"Ann draws a salary from Acme" does not say that Ann draws a salary and no more; what is cut off there is mostly the
point of it. So a relation that the library lacks is taken from clauses alone that have no other words.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.extraction.clauses import Clause
from core.extraction.names import is_name
from core.extraction.phrases.choice import Found
from core.extraction.words import Tree

_BELOW = frozenset({"ccomp", "advcl", "relcl", "conj", "parataxis", "acl"})  # what is another clause
_LIGHT = frozenset(  # when, how and by which word a clause begins
    "punct aux auxpass cc mark intj neg det prt npadvmod advmod nsubj nsubjpass".split()
)
_BEHIND = _BELOW | {"prep"}  # what is behind an object


def are_whole(tree: Tree, clause: Clause, parsed: Sequence[Found]) -> bool:
    """Whether the candidates of `clause`, each with the head of its object, have all words that say what is stated."""
    said = {clause.verb.low}
    held = {word.place for subject in clause.subjects for word in tree.subtree(subject)}
    for head, candidate in parsed:
        for text in (candidate.subject, candidate.relation, candidate.object):
            said |= set(text.lower().split())
        held |= {word.place for word in tree.subtree(head, _BEHIND)}
    if any(tree.children(head, "relcl", "acl") and not is_name(head) for head, _ in parsed):
        return False  # "a cupboard that is full of"
    words = (word for word in tree.subtree(clause.verb, _BELOW) if word.place not in held)
    return all(word.low in said or word.dep in _LIGHT for word in words)
