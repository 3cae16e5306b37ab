"""Trains what service/parsing/phrase_model.py needs beside its embeddings, and writes core/words/en-phrases.json.

Which relation a phrase states is learned from the library's own statements (core/words/en.toml), filled with objects of
phrases/objects.toml and taken apart as sentences of users are; every other noun of a statement, and
phrases/no_relation.txt, show what states none. Which type an object is of is learned from the objects alone, and what
ends a fact from phrases/ending.txt.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402
from transformers import AutoModel, AutoTokenizer  # noqa: E402

from core.english.verbs import verbs  # noqa: E402
from core.extraction.clauses import clauses  # noqa: E402
from core.extraction.phrases.meant import SOMEONE, SOMETHING, Phrase  # noqa: E402
from core.extraction.phrases.pairs import pairs  # noqa: E402
from core.extraction.repairs import repaired  # noqa: E402
from core.library import library  # noqa: E402
from core.texts import same_words, without_article  # noqa: E402
from service.parsing.phrase_model import HEADS, MAX_TOKENS, _folder  # noqa: E402
from service.parsing.spacy_parser import SpacyParser  # noqa: E402

WITH_ARTICLE = frozenset({"works as", "drives", "is the owner of", "has a pet", "wants to become"})
OTHER = "other"  # type of an object that is in no list
_STATED_BY = frozenset(
    "is has lives works resides was plays speaks likes loves studies can owns keeps drives earns went graduated "
    "grew comes hails".split()
)
Rows = list[tuple[str, str]]
_known: dict[str, torch.Tensor] = {}


def main() -> None:
    given = tomllib.loads((HERE / "phrases" / "objects.toml").read_text(encoding="utf-8"))
    lists = {name: objects.split("; ") for name, objects in given["lists"].items()}
    relations = {name: types.split() for name, types in given["relations"].items()}
    parser, draw = SpacyParser(), random.Random(0)
    stated, unstated = set[tuple[str, str]](), set[Phrase]()
    spoken = _said(lists, relations, draw)
    for sentence, relation, object_ in (*_statements(lists, relations, draw), *spoken):
        is_there = False
        for phrase in _phrases(parser, sentence):
            if same_words(phrase.object) == same_words(without_article(object_)):
                stated.add((phrase.said, relation))
                is_there = True
            else:
                unstated.add(phrase)
        if not is_there:
            stated.add((sentence.removesuffix(".").replace(object_, SOMETHING), relation))
    for line in _lines("no_relation.txt"):
        unstated |= {*_phrases(parser, line)}
    known = {said for said, _ in stated}
    objects = [(object_, kind) for kind, members in lists.items() for object_ in members]
    others = sorted({phrase.object for phrase in unstated} - {object_ for object_, _ in objects})
    draw.shuffle(others)
    none = sorted({phrase.said for phrase in unstated} - known)
    ending = [line.removesuffix(".") for line in _lines("ending.txt")]
    heads = {
        "relations": _trained([*sorted(stated), *((said, "") for said in none)], "", decay=0.05, epochs=80),
        "types": _trained([*objects, *((object_, OTHER) for object_ in others[:500])], OTHER, decay=0.1, epochs=60),
        "ends": _trained(
            [*((said, "holds") for said in (*sorted(known), *none)), *((said, "ends") for said in ending)],
            "holds", decay=0.05, epochs=60, rest_weight=0.06,
        ),
        "acts": _trained(_acts(sorted({*known, *none})), "neither", decay=0.1, epochs=100),
        "frames": _trained(_parts("frames.toml"), "asserts", decay=0.1, epochs=100),
    }  # fmt: skip
    HEADS.write_text(json.dumps({**heads, "objects": relations}, ensure_ascii=False) + "\n", encoding="utf-8")


def _acts(statements: list[str]) -> Rows:
    """Returns parts of sentences with what they do, which is nothing of the kind for statements."""
    draw = random.Random(0)
    said = draw.sample(statements, 1000)
    return [*_parts("acts.toml"), *((text, "neither") for text in (*said[:500], *map(_of_user, said[500:])))]


def _of_user(statement: str) -> str:
    """Returns a statement as users make it of themselves: "I am a nurse"."""
    subject, _, rest = statement.partition(" ")
    verb, _, after = rest.partition(" ")
    verb = {"is": "am", "has": "have"}.get(verb) or verbs().third.get(verb, verb)
    return f"I {verb} {after}" if subject == SOMEONE else statement


def _parts(name: str) -> Rows:
    """Returns the texts of a file with lists of them, each with the name of its list."""
    given = tomllib.loads((HERE / "phrases" / name).read_text(encoding="utf-8"))
    return [(" ".join(said.split()), part) for part, texts in given.items() for said in texts.split(";")]


def _lines(name: str) -> list[str]:
    return (HERE / "phrases" / name).read_text(encoding="utf-8").splitlines()


def _statements(
    lists: dict[str, list[str]], relations: dict[str, list[str]], draw: random.Random
) -> Iterator[tuple[str, str, str]]:
    """Yields statements of the library with an object, their relation, and the object."""
    for entry in library():
        relation = _name(entry.names[0])
        if relation not in relations:
            continue
        objects = [object_ for kind in relations[relation] for object_ in lists[kind]]
        words = entry.words
        for prompt in (*words.statements, *words.probe_statements, *[words.answer] * 3, *_named(entry.names)):
            object_ = draw.choice(objects)
            said = _with_article(relation, entry.article, entry.names_take_it, object_)
            yield f"{prompt.replace('{s}', SOMEONE)} {said}.", relation, said


def _said(
    lists: dict[str, list[str]], relations: dict[str, list[str]], draw: random.Random
) -> Iterator[tuple[str, str, str]]:
    """Yields what people say for relations in other words, likewise."""
    for relation, phrases in tomllib.loads((HERE / "phrases" / "said.toml").read_text(encoding="utf-8")).items():
        for phrase in map(str.strip, phrases.split(";")):
            object_ = draw.choice([object_ for kind in relations[relation] for object_ in lists[kind]])
            object_ = object_.removeprefix("the ") if "the {o}" in phrase else object_
            yield f"{phrase.format(s=SOMEONE, o=object_)}.", relation, object_


def _name(name: tuple[str, str]) -> str:
    return f"{name[0]} {{{name[1]}}}" if name[1] else name[0]


def _named(names: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yields statements of the names of a relation that begin with a verb."""
    for name, _ in names:
        if name.partition(" ")[0] in _STATED_BY:
            yield f"{{s}} {name}"


def _with_article(relation: str, article: str, names_take_it: bool, object_: str) -> str:
    article = "a" if relation in WITH_ARTICLE else article
    bare = not (object_[0].islower() or names_take_it or relation == "drives")
    determined = object_.partition(" ")[0] in ("the", "a", "an")
    if not article or bare or determined or (article == "a" and object_.endswith("s")):
        return object_
    return f"{'an' if article == 'a' and object_[0].lower() in 'aeiou' else article} {object_}"


def _phrases(parser: SpacyParser, sentence: str) -> list[Phrase]:
    return [
        pair.phrase
        for tree in repaired(parser.parse(sentence))
        for clause in clauses(tree)
        for pair in pairs(tree, clause)
    ]


def _trained(rows: Rows, rest: str, *, decay: float, epochs: int, rest_weight: float = 0.3) -> dict[str, object]:
    """Returns a linear classifier of texts; `rest` is the class of what is in no other, and counts `rest_weight`."""
    names = [rest, *sorted({name for _, name in rows} - {rest})]
    vectors, classes = _vectors([text for text, _ in rows]), torch.tensor([names.index(name) for _, name in rows])
    torch.manual_seed(0)
    weights = torch.zeros(len(names), vectors.shape[1], requires_grad=True)
    bias = torch.zeros(len(names), requires_grad=True)
    each = torch.ones(len(names))
    each[0] = rest_weight
    optimizer = torch.optim.AdamW([weights, bias], lr=0.02, weight_decay=decay)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(512):
            logits = 4 * vectors[batch] @ weights.T + bias
            loss = torch.nn.functional.cross_entropy(logits, classes[batch], weight=each, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    trained = 4 * weights.detach()
    scales = trained.abs().amax(1) / 127
    integers = (trained / scales[:, None]).round().to(torch.int8)
    return {
        "names": names,
        "weights": base64.b64encode(integers.numpy().tobytes()).decode("ascii"),
        "scales": [float(f"{scale:.5g}") for scale in scales.tolist()],
        "bias": [round(value, 4) for value in bias.detach().tolist()],
    }


def _vectors(texts: list[str]) -> torch.Tensor:
    """Returns the embeddings of `texts`, each computed once."""
    new = sorted({*texts} - _known.keys())
    _known.update(zip(new, _embeddings(new), strict=True))
    return torch.stack([_known[text] for text in texts])


def _embeddings(texts: list[str]) -> torch.Tensor:
    if not texts:
        return torch.zeros(0)
    model, tokenizer = AutoModel.from_pretrained(_folder()).eval(), AutoTokenizer.from_pretrained(_folder())
    places = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    vectors = torch.zeros(len(texts), model.config.hidden_size)
    with torch.no_grad():
        for begin in range(0, len(places), 64):
            batch = places[begin : begin + 64]
            given = tokenizer(
                [texts[place] for place in batch],
                return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS,
            )  # fmt: skip
            states, mask = model(**given).last_hidden_state, given["attention_mask"][:, :, None].float()
            vectors[batch] = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    return vectors


if __name__ == "__main__":
    main()
