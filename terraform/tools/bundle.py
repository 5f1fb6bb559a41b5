"""What is deployed of a function: its main.py, its requirements.txt, and the modules of `shared/` that it reaches.

Run as `python terraform/tools/bundle.py OUT [FUNCTION ...]`: writes OUT/<function>-<content hash>.zip and prints a line
each. The same sources give the same bytes on any machine: sorted names, one fixed date, mode 0644, stored order.
The hash is of names and contents, not of the zip, so that another zlib does not rename anything.
"""

import ast
import hashlib
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Never deployed: settings refuse the local backend on Cloud Run.
LEFT_OUT = ("shared.backends.local",)

# What is imported by a name made at run time, where no import statement shows it. Terraform sets PROVIDERS.
BY_NAME = {
    "shared.providers": "shared/providers/*/webhook.py",
    "shared.runtime.apis": "shared/providers/*/api.py",
}

EPOCH = (2000, 1, 1, 0, 0, 0)


def functions() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


def files(function: str) -> dict[str, bytes]:
    """Path in the bundle → contents, sorted by path."""
    folder = ROOT / "functions" / function
    bundle = {name: (folder / name).read_bytes() for name in ("main.py", "requirements.txt")}
    seen: set[Path] = set()
    waiting = [folder / "main.py"]
    while waiting:
        path = waiting.pop()
        for module in _imports(path.read_bytes()):
            for file in _files_of(module):
                if file not in seen:
                    seen.add(file)
                    waiting.append(file)
    for path in seen:
        bundle[path.relative_to(ROOT).as_posix()] = path.read_bytes()
        if path.name == "__init__.py":
            # SQL and schemas stand beside the package that reads them.
            for data in (*path.parent.rglob("*.sql"), *path.parent.rglob("*.json")):
                bundle[data.relative_to(ROOT).as_posix()] = data.read_bytes()
    return dict(sorted(bundle.items()))


def content_hash(bundle: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in bundle.items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


def name(function: str) -> str:
    """The bundle's file name, from its contents."""
    return f"{function}-{content_hash(files(function))}.zip"


def names() -> dict[str, str]:
    """Of every function."""
    return {function: name(function) for function in functions()}


def write(function: str, out: Path) -> Path:
    """The zip of `function` in `out`, named by its contents."""
    bundle = files(function)
    path = out / f"{function}-{content_hash(bundle)}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in bundle.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, data, zipfile.ZIP_STORED)
    return path


@cache
def _imports(source: bytes) -> tuple[str, ...]:
    """Names of `shared` modules that `source` imports anywhere, type-checking imports left out."""
    tree = ast.parse(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names if alias.name.split(".")[0] == "shared")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "shared":
            names.append(node.module)
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(names)


def _files_of(module: str) -> Iterator[Path]:
    """The files that importing `module` runs: its own and every package's above it. A name that is no module: none."""
    if module.startswith(LEFT_OUT):
        return
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        package = ROOT.joinpath(*parts[:depth])
        if (package / "__init__.py").exists():
            yield package / "__init__.py"
        elif package.with_suffix(".py").exists():
            yield package.with_suffix(".py")
    for file in ROOT.glob(BY_NAME.get(module, "")) if module in BY_NAME else ():
        yield file
        if (package := file.with_name("__init__.py")).exists():
            yield package


def main(arguments: list[str]) -> None:
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    for function in arguments[1:] or functions():
        path = write(function, out)
        print(f"{path.name:60} {path.stat().st_size:>9,} bytes {len(files(function)):>3} files")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(ROOT / ".payin" / "bundles")])
