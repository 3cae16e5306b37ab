"""Makes the Python code of `proto/hypnogram/v1` from its .proto files: `python -m proto.generate [--check]`.

Needs the `dev` extra. The generated files are committed, so that nothing but a change of the protos needs this.
"""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parent
PACKAGE = Path("hypnogram/v1")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def write_includes(folder: Path) -> None:
    """Puts the google protos that ours import under `folder`, by the names they are imported by."""
    google = _package_folder("google.rpc").parent
    for path in google.rglob("*.proto"):
        target = folder / "google" / path.relative_to(google).with_name(path.name.replace("_proto.proto", ".proto"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copytree(_package_folder("grpc_tools") / "_proto" / "google", folder / "google", dirs_exist_ok=True)


def generate(target: Path) -> None:
    """Writes the code of every .proto into `target`.

    Raises:
        SystemExit: protoc refused; it has said why.
    """
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(PROTO)) for path in (PROTO / PACKAGE).glob("*.proto"))
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as includes:
        write_includes(Path(includes))
        arguments = [
            "protoc",
            f"-I{PROTO}",
            f"-I{includes}",
            f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
            *(f"--{name}={target}" for name in ("python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out")),
        ]
        status = protoc.main([*arguments, *sources])
    if status:
        raise SystemExit(status)


def stale() -> list[str]:
    """Names of committed files that differ from what the protos say, or should not be there."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.name: path for path in _generated(Path(folder) / PACKAGE)}
        committed = {path.name: path for path in _generated(PROTO / PACKAGE)}
        return sorted(
            name
            for name in fresh.keys() | committed.keys()
            if name not in fresh or name not in committed or not filecmp.cmp(fresh[name], committed[name], False)
        )


def _generated(folder: Path) -> list[Path]:
    return [path for pattern in GENERATED for path in folder.glob(pattern)]


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed: pip install -e '.[dev]'")
    return Path(next(iter(spec.submodule_search_locations)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m proto.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a committed file is not fresh")
    parser.add_argument("--includes", type=Path, help="only put the google protos there, for other tools")
    arguments = parser.parse_args()
    if arguments.includes:
        write_includes(arguments.includes)
    elif arguments.check:
        names = stale()
        if names:
            raise SystemExit(f"not fresh, run `make generate`: {', '.join(names)}")
    else:
        for path in _generated(PROTO / PACKAGE):
            path.unlink()
        generate(PROTO)


if __name__ == "__main__":
    main()
