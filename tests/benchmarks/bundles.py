"""What each function's deployment carries and what importing it costs: files, bytes, packages, milliseconds.

Imported as deployed: from its unpacked bundle, with only its own requirements importable, against a bare
functions-framework import in the same run.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from terraform.tools import bundle
from tests.benchmarks.worlds import STRIPE
from tests.functions.alone import only_its_packages, site_packages, unpack

RUNS = 5
# One webhook stands for all: they differ in their adapter alone.
MEASURED = [one for one in bundle.deployments() if one == "webhook-stripe" or not one.startswith("webhook-")]
SETTINGS = {
    "PAYIN_BACKEND": "gcp",
    "GOOGLE_CLOUD_PROJECT": "bench",
    "PAYIN_MODEL_BUCKET": "bench",
    "PAYIN_EVIDENCE_BUCKET": "bench",
    "PAYIN_MODEL": "none",
    "PROVIDERS": "stripe",
    "PAYIN_CONSOLE": '{"audience": "bench", "groups": {"viewer": ["all@shop.example"]}}',
    "PAYIN_CONSOLE_KEY": "k" * 32,
}


def main() -> None:
    table = Table(title=f"bundles, imported as deployed, median of {RUNS}")
    for heading in ("function", "files", "bytes", "packages", "import ms", "bare ms", "ratio"):
        table.add_column(heading, justify="right")
    for function in MEASURED:
        files = bundle.files(function)
        with tempfile.TemporaryDirectory() as home:
            source = unpack(function, Path(home) / "bundle")
            python = only_its_packages(function, Path(home) / "venv")
            # Alternating, so that a machine that slows down slows both.
            pairs = [
                (
                    import_ms("import main", source, python),
                    import_ms("import functions_framework", source, python),
                )
                for _ in range(RUNS)
            ]
            ours, bare = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
            installed = len(list(site_packages(Path(home) / "venv").glob("*.dist-info")))
        size = sum(map(len, files.values()))
        table.add_row(
            function, f"{len(files)}", f"{size:,}", f"{installed}", f"{ours:.0f}", f"{bare:.0f}", f"{ours / bare:.2f}"
        )
    Console().print(table)


def import_ms(statement: str, source: Path, python: Path) -> float:
    """In the unpacked bundle, whose folder comes first on the path."""
    environment = {"PATH": os.environ["PATH"], **SETTINGS, "WEBHOOK_STRIPE": STRIPE}
    began = time.perf_counter()
    subprocess.run([str(python), "-c", statement], check=True, cwd=source, env=environment, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000
