"""Who is served by which revision: a share for a new one first, then everything, and back by itself when it burns an
objective.

A deployment makes revisions and moves no request: `all_traffic_on_latest_revision = false` tells Cloud Functions to keep to
the traffic of the Cloud Run service below (GoogleCloudPlatform/magic-modules #16981), which names revisions, because it is
pinned here before each apply; what names the latest would follow it. Moving requests is a change of that service alone:
no build, no revision, some seconds. https://cloud.google.com/functions/docs/configuring/traffic-splitting
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from terraform.tools.google import Answer, Google, Unanswered

ROOT = Path(__file__).resolve().parents[2]
RUN = "https://run.googleapis.com/v2"
MONITORING = "https://monitoring.googleapis.com/v3"
BY_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"

Shares = Mapping[str, int]
"""Revision to the percentage of requests that it serves."""

SHARE = 5
WATCHED = timedelta(minutes=10)
"""At the share, and half of it again at everything: a figure of Cloud Run's is visible three minutes after its minute."""
LOOK_EVERY = timedelta(seconds=30)

# As the alert that wakes somebody: a month's budget of failures gone in two days. Fewer than three may be anybody's fault.
BURN, FEWEST = 14.4, 3
# Consumers have no objective of their own: their answers are Pub/Sub's to repeat, and contention is among them.
CONSUMERS_ANSWER = 0.995


class Burned(Exception):
    """A new revision burned an objective, and all that came with it went back; the sentence says which."""

    def __init__(self, revision: str, sentence: str) -> None:
        super().__init__(sentence)
        self.revision = revision


class NoFormer(Exception):
    """Nothing is known to have served before."""


@dataclass(frozen=True)
class Service:
    """shares: as asked for, the latest under its name. pinned: none of them follows the latest."""

    name: str
    shares: Shares
    latest: str
    pinned: bool
    uri: str

    @property
    def serving(self) -> str:
        """The revision that serves most."""
        return max(self.shares, key=lambda revision: self.shares[revision])

    @property
    def settled(self) -> bool:
        return dict(self.shares) == {self.latest: 100}


@dataclass(frozen=True)
class Objective:
    """A part of an objective in monitoring/slos.json that one revision can burn. total, bad or distribution: filters.
    within: of a distribution, what is still good."""

    what: str
    goal: float
    total: str = ""
    bad: str = ""
    distribution: str = ""
    within: float = 0


def objectives(service: str) -> Iterator[Objective]:
    slos: dict[str, dict[str, Any]] = json.loads((ROOT / "terraform" / "monitoring" / "slos.json").read_text())

    def of(name: str, goal: float | None = None) -> Objective:
        slo = slos[name]
        told = {
            part: slo[part].replace("{service}", service) for part in ("total", "bad", "distribution") if part in slo
        }
        return Objective(name, goal or slo["goal"], within=slo.get("within", 0), **told)

    if service.startswith("webhook-"):
        yield of("webhook_availability")
        yield of("webhook_latency")
    else:
        yield of("webhook_availability", CONSUMERS_ANSWER)
    if service == "score-payment":
        yield of("decision_latency")


def steady(service: str) -> bool:
    """Whether requests come all the time, so that a share of them tells anything. What runs by schedule or on call gets
    all of them at once."""
    functions = json.loads((ROOT / "functions" / "topology.json").read_text())["functions"]
    function = functions["webhook" if service.startswith("webhook-") else service.replace("-", "_")]
    return not {"schedule", "schedules"} & function.keys() and (
        function["trigger"] == "pubsub" or "min_instances_prod" in function
    )


class Traffic(Protocol):
    def services(self, names: Iterable[str]) -> dict[str, Service]:
        """Those of `names` that exist. Raises Unanswered."""

    def move(self, shares: Mapping[str, Shares]) -> None:
        """Give each service's requests to its revisions, and come back when it is so. Raises Unanswered."""

    def admit(self, service: str, ingress: str) -> None:
        """Set from where requests may come, and come back when it is so. Raises Unanswered."""

    def count(self, objective: Objective, revision: str, since: datetime) -> tuple[int, int]:
        """How many were bad, and of how many. Raises Unanswered."""


@dataclass(frozen=True)
class CloudRun:
    """https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services and
    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list"""

    google: Google
    region: str

    def services(self, names: Iterable[str]) -> dict[str, Service]:
        answers = {name: self.google.ask("GET", self._url(name)) for name in names}
        return {name: _service(name, _sound(one, name)) for name, one in answers.items() if one.status != 404}

    def move(self, shares: Mapping[str, Shares]) -> None:
        self._patch(
            "traffic",
            {
                name: [
                    {"type": BY_REVISION, "revision": revision, "percent": percent}
                    for revision, percent in of.items()
                    if percent
                ]
                for name, of in shares.items()
            },
        )

    def admit(self, service: str, ingress: str) -> None:
        # https://cloud.google.com/run/docs/securing/ingress
        self._patch("ingress", {service: ingress})

    def count(self, objective: Objective, revision: str, since: datetime) -> tuple[int, int]:
        def read(filter_: str) -> Iterator[Mapping[str, Any]]:
            return self._points(f'{filter_} AND resource.labels.revision_name="{revision}"', since)

        if objective.distribution:
            parts = [_beyond(point["distributionValue"], objective.within) for point in read(objective.distribution)]
            return sum(bad for bad, _ in parts), sum(total for _, total in parts)
        bad, total = (sum(int(point["int64Value"]) for point in read(one)) for one in (objective.bad, objective.total))
        return bad, total

    def _url(self, service: str) -> str:
        return f"{RUN}/projects/{self.google.project}/locations/{self.region}/services/{service}"

    def _patch(self, field: str, values: Mapping[str, Any]) -> None:
        begun = {
            name: _sound(self.google.ask("PATCH", f"{self._url(name)}?updateMask={field}", {field: value}), name)
            for name, value in values.items()
        }
        for name, operation in begun.items():
            for _ in range(90):
                if operation.get("done"):
                    break
                time.sleep(1)
                operation = _sound(self.google.ask("GET", f"{RUN}/{operation['name']}"), name)
            else:
                raise Unanswered(f"{name}: Cloud Run has not finished after 90 seconds")
            if "error" in operation:
                raise Unanswered(f"{name}: {operation['error'].get('message')}")

    def _points(self, filter_: str, since: datetime) -> Iterator[Mapping[str, Any]]:
        asked = {
            "filter": filter_,
            "interval.startTime": f"{since:%Y-%m-%dT%H:%M:%SZ}",
            "interval.endTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "aggregation.alignmentPeriod": "60s",
            "aggregation.perSeriesAligner": "ALIGN_DELTA",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
        }
        url = f"{MONITORING}/projects/{self.google.project}/timeSeries?{urlencode(asked)}"
        for series in _sound(self.google.ask("GET", url), "Cloud Monitoring").get("timeSeries", ()):
            yield from (point["value"] for point in series["points"])


def _sound(answer: Answer, of: str) -> Mapping[str, Any]:
    if answer.status != 200:
        raise Unanswered(f"{of}: {answer.message}")
    return answer.document


def _service(name: str, document: Mapping[str, Any]) -> Service:
    latest = document["latestReadyRevision"].rpartition("/")[2]
    # Nothing said is everything to the latest.
    targets = document.get("traffic") or [{"percent": 100}]
    shares: dict[str, int] = {}
    for target in targets:
        revision = target.get("revision") or latest
        shares[revision] = shares.get(revision, 0) + target.get("percent", 0)
    pinned = all(target.get("type") == BY_REVISION for target in targets)
    return Service(name, {one: percent for one, percent in shares.items() if percent}, latest, pinned, document["uri"])


def _beyond(distribution: Mapping[str, Any], limit: float) -> tuple[int, int]:
    """How many lie in buckets that begin at `limit` or above, and how many there are. A bucket across it counts as good."""
    options = distribution.get("bucketOptions", {})
    if "explicitBuckets" in options:
        bounds = options["explicitBuckets"]["bounds"]
    elif "exponentialBuckets" in options:
        of = options["exponentialBuckets"]
        bounds = [of["scale"] * of["growthFactor"] ** n for n in range(of["numFiniteBuckets"] + 1)]
    else:
        of = options.get("linearBuckets", {"offset": 0, "width": 0, "numFiniteBuckets": 0})
        bounds = [of.get("offset", 0) + of["width"] * n for n in range(of["numFiniteBuckets"] + 1)]
    counts = [int(count) for count in distribution.get("bucketCounts", ())]
    # The first bucket lies below all bounds.
    bad = sum(count for count, begins in zip(counts[1:], bounds, strict=False) if begins >= limit)
    return bad, int(distribution.get("count", 0))


class Rehearsal:
    """A dry run's services, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def services(self, names: Iterable[str]) -> dict[str, Service]:
        known = self._read()
        return {
            name: Service(name, known[name]["shares"], known[name]["latest"], True, f"https://{name}.example")
            for name in names
            if name in known
        }

    def move(self, shares: Mapping[str, Shares]) -> None:
        known = self._read()
        for name, of in shares.items():
            print(f"dry run: would give {told(of)} of {name}")
            known[name]["shares"] = dict(of)
        self._write(known)

    def admit(self, service: str, ingress: str) -> None:
        print(f"dry run: would set {ingress} on {service}")

    def count(self, objective: Objective, revision: str, since: datetime) -> tuple[int, int]:
        raise AssertionError("a dry run has nobody to ask, and looks at nothing")

    def made(self, names: Iterable[str]) -> None:
        """Each of them has got a new revision, as an apply gives one."""
        known = self._read()
        for name in names:
            number = int(known[name]["latest"].rpartition("-")[2]) + 1 if name in known else 1
            latest = f"{name}-{number:05}"
            known[name] = {"latest": latest, "shares": known[name]["shares"] if name in known else {latest: 100}}
        self._write(known)

    def _read(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return read

    def _write(self, known: Mapping[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(known))


def told(shares: Shares) -> str:
    return ", ".join(f"{percent} % to {revision}" for revision, percent in shares.items())


def pin(traffic: Traffic, names: Iterable[str]) -> None:
    """Let what serves go on serving, whatever is deployed."""
    found = traffic.services(names).values()
    traffic.move({one.name: one.shares for one in found if not one.pinned})


def behind(traffic: Traffic, names: Iterable[str]) -> list[Service]:
    """Those whose newest revision does not serve, or not all: something broke off, or it was taken back."""
    return [one for one in traffic.services(names).values() if not one.settled]


def roll_out(
    traffic: Traffic,
    names: Iterable[str],
    *,
    share: int = SHARE,
    watched: timedelta = WATCHED,
    held: Collection[str] = (),
) -> dict[str, str]:
    """Let the newest revision of each service serve: `share` percent first, everything when no objective burned while
    that was watched, and watched again. What is among the `held` revisions stays as it is. Answers the revision that
    serves each.

    Whatever goes wrong until the end, be it a figure that cannot be read or an operator who breaks off, gives all of these
    services back to what served before: they were deployed together. Raises Burned, Unanswered.
    """
    found = {name: one for name, one in traffic.services(names).items() if one.latest not in held}
    fresh = {one.name: one for one in found.values() if not one.settled}
    traffic.move({one.name: one.shares for one in found.values() if one.settled and not one.pinned})
    tried = {one.name: one.latest for one in fresh.values() if steady(one.name)}
    try:
        if tried and share < 100:
            traffic.move({name: {fresh[name].serving: 100 - share, latest: share} for name, latest in tried.items()})
            print(f"{share} % for {watched.seconds // 60} minutes: {', '.join(tried.values())}", flush=True)
            _watch(traffic, tried, watched)
        if fresh:
            traffic.move({name: {one.latest: 100} for name, one in fresh.items()})
            print(f"everything: {', '.join(one.latest for one in fresh.values())}", flush=True)
            _watch(traffic, tried, watched / 2)
    except BaseException:
        traffic.move({name: {one.serving: 100} for name, one in fresh.items()})
        print(f"went back: {', '.join(f'{one.serving} serves {name}' for name, one in fresh.items())}", flush=True)
        raise
    return {name: one.latest for name, one in found.items()}


def _watch(traffic: Traffic, tried: Mapping[str, str], watched: timedelta) -> None:
    """Raises Burned as soon as one of the revisions burns an objective."""
    since = datetime.now(UTC)
    looked: dict[str, tuple[int, int]] = {}
    for _ in range(watched // LOOK_EVERY if tried else 0):
        time.sleep(LOOK_EVERY.total_seconds())
        for service, revision in tried.items():
            for objective in objectives(service):
                bad, total = looked[f"{revision} {objective.what}"] = traffic.count(objective, revision, since)
                if bad >= FEWEST and bad > BURN * (1 - objective.goal) * total:
                    raise Burned(
                        revision, f"{revision} burns {objective.what}: {bad} of {total} in {datetime.now(UTC) - since}"
                    )
    for what, (bad, total) in looked.items():
        print(f"    {what}: {bad} of {total}" + ("" if total else ", so nothing is known"), flush=True)


def former(history: Sequence[Mapping[str, str]], service: Service) -> str:
    """The revision to go back to, by what served after each deployment, oldest first: what serves most while several do,
    else the one before the first time that the present one did. So a second rollback goes one further back and never
    forward again. Raises NoFormer."""
    if len(service.shares) > 1:
        return service.serving
    served = [one[service.name] for one in history if service.name in one]
    before = served[: served.index(service.serving)] if service.serving in served else served
    if not before:
        raise NoFormer(f"{service.name} has no earlier revision on record than {service.serving}")
    return before[-1]
