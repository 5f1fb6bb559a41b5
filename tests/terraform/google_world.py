"""Cloud Run's and Cloud Monitoring's APIs as their reference documents them, over services that a test sets up.
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services,
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.operations and
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from terraform.tools.google import Answer, Google

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
PLACE = "projects/p/locations/europe-west1"


@dataclass(frozen=True)
class World(Google):
    """services: name to its document. figures: revision and what of it (`answers`, `failures`, `ms`, `decisions`) to a
    number or a distribution. said: every change, in order. refuses: words of a URL to what is answered there instead."""

    project: str = "p"
    token: str = "t"
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[tuple[str, str], Any] = field(default_factory=dict)
    said: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[Mapping[str, list[str]]] = field(default_factory=list)
    refuses: dict[str, Answer] = field(default_factory=dict)

    def deploy(self, name: str, number: int, **shares: int) -> None:
        """A service whose newest revision has `number`; shares as `r1=95`; none of them: all to the latest."""
        traffic = [
            {"type": BY_REVISION, "revision": f"{name}-{one[1:]:0>5}", "percent": percent}
            for one, percent in shares.items()
        ]
        self.services[name] = {
            "name": f"{PLACE}/services/{name}",
            "uri": f"https://{name}.run.app",
            "latestReadyRevision": f"{PLACE}/services/{name}/revisions/{name}-{number:05}",
            "traffic": traffic or [{"type": LATEST, "percent": 100}],
        }

    def shares(self, name: str) -> dict[str, int]:
        return {one.get("revision", LATEST): one["percent"] for one in self.services[name]["traffic"]}

    def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        for words, answer in self.refuses.items():
            if words in url:
                return answer
        address = urlsplit(url)
        query = parse_qs(address.query)
        if address.netloc == "monitoring.googleapis.com":
            return self._series(query)
        assert address.netloc == "run.googleapis.com"
        if "/operations/" in address.path:
            return Answer(200, {"name": address.path[4:], "done": True, "response": {}})
        name = re.fullmatch(f"/v2/{PLACE}/services/([a-z0-9-]+)", address.path)
        assert name
        if name[1] not in self.services:
            return Answer(404, {"error": {"code": 404, "message": f"Resource '{name[1]}' was not found"}})
        if method == "PATCH":
            [part] = query["updateMask"]
            assert body is not None
            assert list(body) == [part]
            self.services[name[1]][part] = body[part]
            self.said.append((name[1], self.shares(name[1]) if part == "traffic" else body[part]))
            return Answer(200, {"name": f"{PLACE}/operations/{len(self.said)}", "done": False})
        return Answer(200, self.services[name[1]])

    def _series(self, query: Mapping[str, list[str]]) -> Answer:
        self.asked.append(query)
        [filter_] = query["filter"]
        revision = re.search(r'resource\.labels\.revision_name="([^"]+)"', filter_)
        assert revision
        what = (
            "failures"
            if 'response_code_class="5xx"' in filter_
            else "answers"
            if "request_count" in filter_
            else "ms"
            if "request_latencies" in filter_
            else "decisions"
        )
        value = self.figures.get((revision[1], what))
        if value is None:
            return Answer(200, {})
        kind = {"int64Value": str(value)} if isinstance(value, int) else {"distributionValue": value}
        interval = {"startTime": "2026-11-26T12:00:00Z", "endTime": "2026-11-26T12:01:00Z"}
        return Answer(200, {"timeSeries": [{"points": [{"interval": interval, "value": kind}]}]})
