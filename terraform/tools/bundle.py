"""What is deployed of a function: its main.py, its requirements.txt, and the modules of `shared/` that it reaches.

A deployment is a function, `score_payment`, or one that serves a single provider, `webhook-stripe`: its bundle holds
that provider's adapter and no other, so that a change at one provider deploys and takes back one webhook.

Run as `python terraform/tools/bundle.py OUT [DEPLOYMENT ...]`: writes OUT/<deployment>-<content hash>.zip and prints a line
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

# Deployed once for each provider; Terraform sets PROVIDERS.
BY_PROVIDER = ("webhook",)

# What is opened by a name made at run time, where no import statement shows it: with whoever imports the first comes the
# second, of the deployment's own provider or, in one that serves all, of every provider.
BY_NAME = {
    "shared.providers.load": "shared/providers/{provider}/webhook.py",
    "shared.providers.load_api": "shared/providers/{provider}/api.py",
    "shared.providers.load_answer": "shared/providers/{provider}/answer.py",
    "shared.providers.load_refund": "shared/providers/{provider}/refund.py",
    "shared.providers.load_listing": "shared/providers/{provider}/listing.py",
    "shared.providers.load_endpoint": "shared/providers/{provider}/endpoint.py",
    "shared.providers.load_payouts": "shared/providers/{provider}/payouts.py",
    "shared.backends.tables": "shared/learning/sql/tables/*.json",
    "shared.runtime.topology": "functions/topology.json",
    "shared.console.site": "shared/console/[ts]*/*.*",
}

EPOCH = (2000, 1, 1, 0, 0, 0)


def functions() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


def deployments() -> list[str]:
    """Everything that is deployed, by name: `<function>`, or `<function>-<provider>` for each adapter."""
    adapters = sorted(path.parent.name for path in (ROOT / "shared" / "providers").glob("*/webhook.py"))
    return sorted(
        deployment
        for function in functions()
        for deployment in ([f"{function}-{name}" for name in adapters] if function in BY_PROVIDER else [function])
    )


def files(deployment: str) -> dict[str, bytes]:
    """Path in the bundle → contents, sorted by path."""
    function, _, provider = deployment.partition("-")
    folder = ROOT / "functions" / function
    bundle = {name: (folder / name).read_bytes() for name in ("main.py", "requirements.txt")}
    seen: set[Path] = set()
    named: set[str] = set()
    waiting = [folder / "main.py"]
    while waiting:
        path = waiting.pop()
        fresh = set(_imports(path.read_bytes())) - named
        named |= fresh
        for module in fresh:
            for file in _files_of(module, provider or "*"):
                if file not in seen:
                    seen.add(file)
                    waiting += [file] if file.suffix == ".py" else []
    for path in seen:
        bundle[path.relative_to(ROOT).as_posix()] = path.read_bytes()
        if path.name == "__init__.py":
            # What a package reads stands beside it, as an adapter's shape.json does.
            for data in path.parent.glob("*.json"):
                bundle[data.relative_to(ROOT).as_posix()] = data.read_bytes()
    return dict(sorted(bundle.items()))


def content_hash(bundle: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in bundle.items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


def name(deployment: str) -> str:
    """The bundle's file name, from its contents."""
    return f"{deployment}-{content_hash(files(deployment))}.zip"


def names() -> dict[str, str]:
    """Of every deployment."""
    return {deployment: name(deployment) for deployment in deployments()}


def write(deployment: str, out: Path) -> Path:
    """The zip of `deployment` in `out`, named by its contents."""
    bundle = files(deployment)
    path = out / f"{deployment}-{content_hash(bundle)}.zip"
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


def _files_of(module: str, provider: str) -> Iterator[Path]:
    """The files that importing `module` brings: its own, every package's above it, and what is opened by name. A name
    that is no module: none of its own."""
    if module.startswith(LEFT_OUT):
        return
    yield from _run_by(ROOT.joinpath(*module.split(".")))
    for file in ROOT.glob(BY_NAME[module].format(provider=provider)) if module in BY_NAME else ():
        yield from _run_by(file.with_suffix("")) if file.suffix == ".py" else (file,)


def _run_by(path: Path) -> Iterator[Path]:
    """The files that importing the module at `path`, named without its suffix, runs."""
    for place in (*reversed(path.relative_to(ROOT).parents), path.relative_to(ROOT)):
        package = ROOT / place
        if (package / "__init__.py").exists():
            yield package / "__init__.py"
        elif package.with_suffix(".py").exists():
            yield package.with_suffix(".py")


def main(arguments: list[str]) -> None:
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    for deployment in arguments[1:] or deployments():
        path = write(deployment, out)
        print(f"{path.name:60} {path.stat().st_size:>9,} bytes {len(files(deployment)):>3} files")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(ROOT / ".payin" / "bundles")])
