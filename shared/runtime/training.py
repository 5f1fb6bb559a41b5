"""A night of training as a process of its own: `python -m shared.runtime.training --at 2026-11-28T03:15:00+00:00 --request {}`.

For more rows than the function can take: the same code on the same ports, as a custom job of Vertex AI or at a desk. It ends
with 0 when the night has come to its end, promoted or not. Killed and started again with the same words it makes the same
models, and promotes once.
"""

import argparse
import sys
from datetime import datetime

from shared.domain.errors import PayInError
from shared.domain.privacy import mask
from shared.domain.telemetry import fact
from shared.flows.train_model import train_model
from shared.flows.training_job import Elsewhere
from shared.runtime.app import App


def elsewhere(app: App) -> Elsewhere | None:
    """Where nights go that are too large for the function; None: nowhere. Raises Misconfigured."""
    job = app.settings.training_job()
    if job is None:
        return None
    from shared.backends.gcp.tokens import access_tokens
    from shared.backends.gcp.vertex import VertexJobs

    settings, origin = app.settings, app.settings.environment.get("PAYIN_JOBS_URL", "")
    tokens = None if origin else access_tokens(settings.metadata_host)
    return Elsewhere(
        job.above, VertexJobs(job, settings.project, settings.revision, settings.of_a_job(), tokens, origin)
    )


def main(arguments: list[str]) -> int:
    asked = argparse.ArgumentParser(prog="python -m shared.runtime.training", description=__doc__)
    asked.add_argument("--at", type=datetime.fromisoformat, required=True, help="what was known then is learned from")
    asked.add_argument("--request", default="{}", help="JSON, as a tick of train_model carries it")
    told = asked.parse_args(arguments)
    if told.at.tzinfo is None:
        asked.error("--at has no time zone: 2026-11-28T03:15:00+00:00")
    app = App("train_model")
    try:
        app.settings.model_bucket()
        train_model(app.ports, told.at, told.request.encode())
    except PayInError as error:
        # No alarm: a job's log is counted by no metric. `training_stands_still` calls somebody.
        fact("training_failed", reason=error.reason, detail=mask(str(error))[:300])
        sys.stderr.write(f"no model was trained: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
