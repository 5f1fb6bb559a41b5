"""Processes of ours as custom jobs of Vertex AI, from the image that this function itself runs.

https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs. An id cannot be chosen, so a
job is known again by a label. Nothing of this has run on Google Cloud yet: tests hold it to what Google documents.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import Tokens
from shared.domain.errors import Misconfigured, Unavailable
from shared.settings import TrainingJob

_OK: Final = 200
# The request cannot go better in a while: refused, not allowed, or of something that is not there.
_FOR_GOOD: Final = frozenset({400, 401, 403, 404})
_FAILED: Final = frozenset({"JOB_STATE_FAILED", "JOB_STATE_EXPIRED"})
LONGEST: Final = 4 * 3600
"""Seconds, after which Vertex AI ends a job by itself."""
# What a buildpack starts a container with; after `--` no shell reads the rest.
# https://buildpacks.io/docs/for-app-developers/how-to/build-outputs/specify-launch-process
_LAUNCHER: Final = ["/cnb/lifecycle/launcher", "--"]


class VertexJobs:
    """`shared.flows.training_job.Jobs`. revision: of Cloud Run, whose image the job runs, and its service. environment: the
    job's. Thread-safe."""

    def __init__(
        self,
        job: TrainingJob,
        project: str,
        revision: tuple[str, str],
        environment: Mapping[str, str],
        tokens: Tokens | None,
        origin: str = "",
    ) -> None:
        self._job = job
        self._environment = environment
        self._http = Http(tokens, patience=20.0, read_timeout=15.0)
        place = f"projects/{project}/locations/{job.region}"
        self._jobs = f"{origin or f'https://{job.region}-aiplatform.googleapis.com'}/v1/{place}/customJobs"
        service, name = revision
        run = origin or "https://run.googleapis.com"
        self._revision = f"{run}/v2/{place}/services/{service}/revisions/{name}"

    def settled(self, tick: str) -> bool:
        asked = urlencode({"filter": f"labels.tick={tick}", "pageSize": 100})
        answer = self._answer("GET", f"{self._jobs}?{asked}")
        return any(one.get("state") not in _FAILED for one in answer.get("customJobs", ()))

    def start(self, tick: str, arguments: Sequence[str]) -> None:
        container = {
            "imageUri": self._answer("GET", self._revision)["containers"][0]["image"],
            "command": _LAUNCHER,
            "args": ["python", "-m", "shared.runtime.training", *arguments],
            "env": [{"name": name, "value": value} for name, value in sorted(self._environment.items())],
        }
        pool = {
            "machineSpec": {"machineType": self._job.machine},
            "replicaCount": "1",
            "containerSpec": container,
        }
        wanted = {
            "displayName": f"train-model-{tick}",
            "labels": {"app": "pay-in", "job": "train_model", "tick": tick},
            "jobSpec": {
                "workerPoolSpecs": [pool],
                "scheduling": {"timeout": f"{LONGEST}s"},
                "serviceAccount": self._job.service_account,
            },
        }
        # Once: a job whose answer was lost is there, and a second request would start a second one.
        self._answer("POST", self._jobs, msgspec.json.encode(wanted), again=False)

    def _answer(self, method: str, url: str, body: bytes | None = None, *, again: bool = True) -> dict[str, Any]:
        status, data = self._http.request(method, url, body, {"content-type": "application/json"}, again=again)
        if status in _FOR_GOOD:
            raise Misconfigured(
                f"Google refuses a job of training with {status}: {data[:300].decode(errors='replace')}",
                reason="training_job_refused",
            )
        if status != _OK:
            raise Unavailable(f"no job of training can be started: status {status}", reason="training_job_unavailable")
        return msgspec.json.decode(data, type=dict[str, Any])
