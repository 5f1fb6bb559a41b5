"""Vertex AI's custom jobs, whose containers are processes of this machine; and the revision of Cloud Run whose image they run.

It refuses what Google documents as wrong (https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec), as
their JSON does members that it does not know; whoever asks is let in. What a real job would add (a machine, an image that is
pulled, an identity, a log of its own) is not here.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stack.serving import served

ROOT = Path(__file__).resolve().parents[2]
PROJECT, REGION, SERVICE, REVISION = "shop", "europe-west1", "train-model", "train-model-00007-abc"
IMAGE = f"{REGION}-docker.pkg.dev/shop/functions/shop__train__model@sha256:{'5e' * 32}"
PLACE = f"projects/{PROJECT}/locations/{REGION}"
# Each member that we use, by the object that it is of; a job's own output is not to be sent.
MEMBERS = {
    "job": {"displayName", "labels", "jobSpec", "encryptionSpec"},
    "spec": {"workerPoolSpecs", "scheduling", "serviceAccount", "network", "baseOutputDirectory", "enableWebAccess"},
    "pool": {"machineSpec", "replicaCount", "diskSpec", "containerSpec", "pythonPackageSpec", "nfsMounts"},
    "container": {"imageUri", "command", "args", "env"},
    "scheduling": {"timeout", "restartJobOnWorkerRestart", "disableRetries", "strategy", "maxWaitDuration"},
}
LABEL = re.compile("[a-z0-9_-]{0,63}")
MACHINE = re.compile("(n1|n2|e2|c2)-(standard|highmem|highcpu)-[0-9]+")
ACCOUNT = re.compile("[a-z0-9-]{6,30}@[a-z0-9-]+[.]iam[.]gserviceaccount[.]com")
FILTER = re.compile("labels[.]([a-z][a-z0-9_-]*)=([a-z0-9_-]+)")


class Refused(Exception):
    """What Google would answer with 400."""


@dataclass
class Vertex:
    """failing: statuses that the next starts are answered with, and do nothing. losing: so many starts are carried out, and
    their answers lost. local: what the processes' environment has besides the job's."""

    local: Mapping[str, str]
    url: str = ""
    failing: list[int] = field(default_factory=list)
    losing: int = 0
    jobs: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        container = checked(asked)
        name = f"{PLACE}/customJobs/{len(self.jobs) + 1}"
        self.jobs.append({**asked, "name": name})
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert container["command"] == ["/cnb/lifecycle/launcher", "--"]
        python, *arguments = container["args"]
        assert python == "python"
        self.processes[name] = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment, **self.local},
            stdout=subprocess.PIPE,
            text=True,
        )
        return self.shown(self.jobs[-1])

    def shown(self, job: Mapping[str, Any]) -> dict[str, Any]:
        code = self.processes[job["name"]].poll()
        state = "RUNNING" if code is None else "FAILED" if code else "SUCCEEDED"
        return {**job, "state": job.get("state", f"JOB_STATE_{state}")}

    def cancel(self, job: dict[str, Any]) -> None:
        """As `gcloud ai custom-jobs cancel` does."""
        self.processes[job["name"]].kill()
        job["state"] = "JOB_STATE_CANCELLED"

    def listed(self, text: str) -> list[dict[str, Any]]:
        found = FILTER.fullmatch(text)
        if not found:
            raise Refused(f"Invalid filter: {text}")
        return [self.shown(one) for one in self.jobs if one["labels"].get(found[1]) == found[2]]

    def ended(self) -> list[int]:
        """The exit codes of all jobs, which are waited for."""
        for process in self.processes.values():
            process.communicate(timeout=300)
        return [process.returncode for process in self.processes.values()]


def checked(job: Mapping[str, Any]) -> dict[str, Any]:
    """The container of the only worker pool. Raises Refused."""
    _known("job", job)
    spec = job.get("jobSpec", {})
    _known("spec", spec)
    pools = spec.get("workerPoolSpecs") or [{}]
    _known("pool", pools[0])
    container: dict[str, Any] = pools[0].get("containerSpec", {})
    _known("container", container)
    _known("scheduling", spec.get("scheduling", {}))
    for holds, sentence in (
        (0 < len(job.get("displayName", "")) <= 128, "display_name is of 1 to 128 characters"),
        (all(LABEL.fullmatch(one) for pair in job.get("labels", {}).items() for one in pair), "Invalid label"),
        (len(pools) == 1 and pools[0].get("replicaCount") == "1", "The first worker pool has one replica"),
        (MACHINE.fullmatch(pools[0].get("machineSpec", {}).get("machineType", "")), "Machine type is not supported"),
        (container.get("imageUri") == IMAGE, "Unable to find the image"),
        (len(container.get("env", [])) <= 100, "At most 100 environment variables"),
        (all(one.get("name") and one.get("value") for one in container.get("env", [])), "A variable has no value"),
        (re.fullmatch("[0-9]+s", spec.get("scheduling", {}).get("timeout", "604800s")), "Invalid duration"),
        (ACCOUNT.fullmatch(spec.get("serviceAccount", "")), "The service account does not exist"),
    ):
        if not holds:
            raise Refused(sentence)
    return container


def _known(kind: str, members: Mapping[str, Any]) -> None:
    if unknown := members.keys() - MEMBERS[kind]:
        raise Refused(f'Invalid JSON payload received. Unknown name "{min(unknown)}" at {kind}: Cannot find field.')


@contextmanager
def vertex(local: Mapping[str, str]) -> Iterator[Vertex]:
    """Its processes end with it."""
    here = Vertex(local)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == f"/v2/{PLACE}/services/{SERVICE}/revisions/{REVISION}":
                self._answer(200, {"name": url.path[4:], "containers": [{"image": IMAGE}]})
            elif url.path == f"/v1/{PLACE}/customJobs":
                self._try(lambda: {"customJobs": here.listed(parse_qs(url.query)["filter"][0])})
            else:
                self._answer(404, {"error": {"code": 404, "status": "NOT_FOUND"}})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if here.failing:
                status = here.failing.pop(0)
                self._answer(status, {"error": {"code": status}})
            elif self.path != f"/v1/{PLACE}/customJobs":
                self._answer(404, {"error": {"code": 404, "status": "NOT_FOUND"}})
            elif here.losing:
                here.losing -= 1
                here.create(json.loads(body))
                self.close_connection = True
            else:
                self._try(lambda: here.create(json.loads(body)))

        def _try(self, act: Any) -> None:
            try:
                self._answer(200, act())
            except Refused as refusal:
                self._answer(400, {"error": {"code": 400, "message": str(refusal), "status": "INVALID_ARGUMENT"}})

        def _answer(self, status: int, said: Mapping[str, Any]) -> None:
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    with served(Handler) as host:
        here.url = f"http://{host}"
        try:
            yield here
        finally:
            for process in here.processes.values():
                process.kill()
                process.communicate()
