"""A function running from exactly what is deployed: its bundle, and the packages that its requirements bring."""

import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from packaging.requirements import Requirement

from terraform.tools import bundle
from tests.stack.servers import free_port


def unpack(deployment: str, folder: Path) -> Path:
    for name, data in bundle.files(deployment).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def required(deployment: str) -> list[Requirement]:
    """The lines of the function's requirements.txt."""
    text = bundle.files(deployment)["requirements.txt"].decode("utf-8")
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def closure(requirements: Iterable[Requirement], python: str | None = None) -> dict[str, Distribution]:
    """Everything that `requirements` bring here, by normalised name; with `python` (such as 3.13), what they would bring
    there. Raises AssertionError for what is not installed here, or not in the version that is asked for."""
    environment = {} if python is None else {"python_version": python, "python_full_version": f"{python}.0"}
    waiting = list(requirements)
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = normalised(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError as error:
            raise AssertionError(f"{name} is required and missing from requirements.txt") from error
        here = found[name].version
        assert requirement.specifier.contains(here), f"{requirement} is required, here is {here}"
        for text in found[name].requires or []:
            inner = Requirement(text)
            extras = ["", *requirement.extras]
            if inner.marker is None or any(inner.marker.evaluate({**environment, "extra": extra}) for extra in extras):
                waiting.append(inner)
    return found


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def only_its_packages(deployment: str, folder: Path) -> Path:
    """The Python of a virtual environment in `folder` that holds the closure of the function's requirements and nothing
    else. What is installed here is linked rather than installed again: it takes no network, and milliseconds."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = site_packages(folder)
    for found in closure(required(deployment)).values():
        for file in found.files or []:
            top = file.parts[0]
            target = Path(str(found.locate_file(top)))
            # Namespace packages (google, opentelemetry) are shared by distributions: link their files one by one.
            shared_by_many = target.is_dir() and top.isidentifier() and not (target / "__init__.py").exists()
            link = packages / (file if shared_by_many else top)
            if top not in ("..", "__pycache__") and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(found.locate_file(file))) if shared_by_many else target)
    return folder / "bin" / "python"


def site_packages(environment: Path) -> Path:
    return environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


@contextmanager
def serving(deployment: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The deployment's URL while functions-framework serves its bundle; its log is `folder/log`."""
    folder.mkdir(exist_ok=True)
    source = unpack(deployment, folder / "bundle")
    python = only_its_packages(deployment, folder / "venv")
    function = deployment.partition("-")[0]
    port = free_port()
    log = folder / "log"
    command = [str(python), "-m", "functions_framework", "--source", str(source / "main.py"), "--target", function]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=source,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(20)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()[-2000:]}"
        try:
            # functions-framework itself answers 404 for robots.txt, once it serves.
            urlopen(f"http://127.0.0.1:{port}/robots.txt", timeout=1)
        except URLError as error:
            if getattr(error, "code", None) == 404:
                return
            time.sleep(0.05)
    raise AssertionError(f"it does not serve: {log.read_text()[-2000:]}")
