"""Draws which package imports which into ARCHITECTURE.md: `make drawing`; `--check` fails if the drawing is not fresh.

An arrow means that a module of one box imports a module of the other. Arrows that follow from others are left out (the
transitive reduction), so that the rest can be read. Imports in a circle are an error, so every arrow points down.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
FIRST, LAST = "<!-- imports, drawn by `make drawing` -->", "<!-- end of imports -->"

FOLDERS = ("service", "store", "core.weights", "core")  # drawn package by package, the innermost name first
WHOLE = ("benchmarks", "models", "hypnogram.client", "hypnogram.v1")
COLOURS = {"service": "#dbeafe", "store": "#dcfce7", "core.weights": "#fde68a", "core": "#fef9c3"}

Imports = dict[str, set[str]]  # box -> the boxes that it imports


def box_of(module: str) -> str:
    """The box that a module is drawn in: a package of `FOLDERS`, a module beside them, or one of `WHOLE`."""
    for whole in WHOLE:
        if module == whole or module.startswith(f"{whole}."):
            return whole
    for folder in FOLDERS:
        if module.startswith(f"{folder}.") and module not in FOLDERS:
            return f"{folder}.{module.removeprefix(f'{folder}.').partition('.')[0]}"
    return ""


def imports() -> Imports:
    """Which box imports which. Entry points and the packages' own `__init__` stand in no box."""
    graph = grimp.build_graph("core", "store", "service", "models", "benchmarks", "hypnogram", cache_dir=None)
    boxes: Imports = {}
    for module in graph.modules:
        if importer := box_of(module):
            imported = {box_of(name) for name in graph.find_modules_directly_imported_by(module)}
            boxes.setdefault(importer, set()).update(imported - {importer, ""})
    return boxes


def ranks(boxes: Mapping[str, set[str]]) -> dict[str, int]:
    """The height of each box: 0 where it imports none, else one more than the highest that it imports."""
    heights: dict[str, int] = {}
    try:
        for box in TopologicalSorter(boxes).static_order():
            heights[box] = max((heights[lower] + 1 for lower in boxes.get(box, ())), default=0)
    except CycleError as error:
        raise SystemExit(f"imports in a circle: {' -> '.join(error.args[1])}") from None
    return heights


def merged(boxes: Imports) -> Imports:
    """Modules of one folder and one height in one box: none of them imports another."""
    heights = ranks(boxes)
    names = {box: box for box in boxes}
    single = sorted(
        (folder_of(box), heights[box], box) for box in boxes if (ROOT / f"{box.replace('.', '/')}.py").exists()
    )
    for (folder, _), group in groupby(single, key=lambda entry: entry[:2]):
        modules = [box.removeprefix(f"{folder}.") for *_, box in group]
        names |= {f"{folder}.{module}": f"{folder}.{' '.join(modules)}" for module in modules}
    result: Imports = {}
    for box, lower in boxes.items():
        result.setdefault(names[box], set()).update(names[name] for name in lower)
    return result


def reduced(boxes: Imports) -> Imports:
    """Without the arrows that follow from others."""
    reach: dict[str, set[str]] = {}
    for box in TopologicalSorter(boxes).static_order():
        lower = boxes.get(box, set())
        reach[box] = lower.union(*(reach[name] for name in lower))
    return {box: lower - set().union(*(reach[name] for name in lower)) for box, lower in boxes.items()}


def folder_of(box: str) -> str:
    return next((folder for folder in FOLDERS if box.startswith(f"{folder}.")), "")


def drawing() -> Iterator[str]:
    """The lines of the drawing, from the top down."""
    boxes = reduced(merged(imports()))
    heights = ranks(boxes)
    ordered = sorted(boxes, key=lambda box: (-heights[box], box))
    key = {box: box.partition(" ")[0].replace(".", "_") for box in ordered}
    yield "```mermaid"
    yield "flowchart TD"
    for box in ordered:
        yield f'    {key[box]}["{label(box)}"]'
    for box in ordered:
        for lower in sorted(boxes[box], key=ordered.index):
            yield f"    {key[box]} --> {key[lower]}"
    for folder, colour in COLOURS.items():
        members = ",".join(key[box] for box in ordered if folder_of(box) == folder)
        style = f"in_{folder.replace('.', '_')}"
        yield f"    classDef {style} fill:{colour},color:#111827"
        yield f"    class {members} {style}"
    yield "```"


def label(box: str) -> str:
    """A path, or the paths of modules that stand together."""
    folder = folder_of(box)
    names = box.removeprefix(f"{folder}.").split(" ")
    path = f"{folder}.".replace(".", "/") if folder else ""
    if not (ROOT / path / f"{names[0]}.py").exists():
        return path + names[0].replace(".", "/")
    return "<br>".join(f"{path}{name}.py" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the drawing is not fresh")
    check = parser.parse_args().check
    sys.path[:0] = [str(ROOT), str(ROOT / "proto")]
    page = PAGE.read_text()
    before, _, rest = page.partition(FIRST)
    _, _, after = rest.partition(LAST)
    fresh = "\n".join([before + FIRST, "", *drawing(), "", LAST + after])
    if check and fresh != page:
        raise SystemExit("the drawing in ARCHITECTURE.md is not fresh, run `make drawing`")
    if not check:
        PAGE.write_text(fresh)


if __name__ == "__main__":
    main()
