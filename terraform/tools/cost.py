"""`make cost`: what a month costs and which limits a peak meets, with the arithmetic.

Three kinds of numbers go in, each by its name below: the traffic that is planned for, what one event takes (round trips
and documents, which tests/terraform/test_cost.py measures on the real flows), and Google's list prices. What an
instance serves a second is an assumption until it has been measured on Cloud Run. No free tiers, no discounts.
`--set traffic.webhooks_a_day=1e6` tries another number.
"""

import argparse
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.learning.request import TrainingRequest

ROOT = Path(__file__).resolve().parents[2]
DAYS = 30
MONTH = DAYS * 86_400
BACKUPS = 7 + 14  # whole copies that storage.tf keeps: a week of daily ones, fourteen weekly ones
MILLION, TIB, GIB, MIB = 1e6, 2**40, 2**30, 2**20


@dataclass(frozen=True)
class Traffic:
    payments_a_day: float = 6e6
    webhooks_a_day: float = 20e6
    webhooks_a_second_peak: float = 5_000
    """Payment events for each delivery: the rest are types that we ignore."""
    events_a_webhook: float = 0.8
    """Further events on a decided payment that make scoring read again and write nothing."""
    rereads_a_payment: float = 1.0
    disputes_a_payment: float = 0.005
    events_a_dispute: float = 4.0
    busiest_provider: float = 0.6
    """Addresses that the busiest provider sends from; Stripe lists twelve."""
    busiest_addresses: float = 12


@dataclass(frozen=True)
class Each:
    """What one of them takes: documents, and bytes of a message with its attributes."""

    record_reads: int = 2  # the payment and its case
    record_writes: int = 1
    money_proofs: int = 1  # that no case was opened beside the first word of what can be given back
    score_reads: int = 6
    score_writes: int = 6
    reread_reads: int = 6
    dispute_reads: int = 5
    dispute_writes: int = 4  # two of them prove what was not there: a name of the payment, a dispute under it
    delivery_bytes: int = 4_200  # a body of 2.5 kB in base64, the row around it and its attributes
    event_bytes: int = 1_100
    decision_bytes: int = 5_000
    update_bytes: int = 800
    log_bytes: int = 650  # a line with its trace and its execution's id; three functions tell one each
    stored_bytes: int = 8_000  # a payment's document, its decision's and its share of what is kept of entities
    written_bytes: int = 1_000  # a version of a document that is kept for a week


@dataclass(frozen=True)
class Instance:
    """Requests a second that one instance of one vCPU serves on average: assumed, to be replaced by what Cloud Run shows."""

    webhook: float = 150
    record_payment: float = 90
    score_payment: float = 65
    track_dispute: float = 60


@dataclass(frozen=True)
class Price:
    """US dollars, on demand, tier 1 regions, as listed in November 2026. A region may differ by a fifth: look it up
    at cloud.google.com/<product>/pricing before a budget is made of it."""

    run_vcpu_second: float = 0.000024  # cloud.google.com/run/pricing, request-based billing
    run_gib_second: float = 0.0000025
    run_million_requests: float = 0.40
    run_idle_vcpu_second: float = 0.0000025  # a minimum instance while it serves nothing
    pubsub_tib: float = 40.0  # cloud.google.com/pubsub/pricing: published, and delivered by push or pull
    pubsub_bigquery_tib: float = 50.0  # delivered by a BigQuery subscription, the write included
    pubsub_retained_gib_month: float = 0.27
    firestore_million_reads: float = 0.30  # cloud.google.com/firestore/pricing, one region
    firestore_million_writes: float = 0.90
    firestore_gib_month: float = 0.15  # also of the versions that point-in-time recovery keeps
    firestore_backup_gib_month: float = 0.03
    bigquery_gib_month: float = 0.02  # cloud.google.com/bigquery/pricing, active logical storage
    bigquery_scanned_tib: float = 6.25
    logging_gib: float = 0.50  # cloud.google.com/stackdriver/pricing
    monitoring_mib: float = 0.258


@dataclass(frozen=True)
class Plan:
    traffic: Traffic = Traffic()
    each: Each = Each()
    instance: Instance = Instance()
    price: Price = Price()
    functions: Any = None
    providers: Any = None
    """What the load balancer, if there is one, takes from one address in a minute."""
    edge_requests: float = 0

    @property
    def consumers(self) -> int:
        """Subscriptions to the topic of a provider's payment events. Were they all on one topic and parted by a filter,
        each event would be charged for those of every other provider too."""
        mine = [f for f in self.functions.values() if f.get("topic") == "payment-events"]
        return len(mine) + sum(len(f.get("beside", ())) for f in mine)

    @property
    def events_a_day(self) -> float:
        return self.traffic.webhooks_a_day * self.traffic.events_a_webhook

    @property
    def disputes_a_day(self) -> float:
        """Events of disputes."""
        return self.traffic.payments_a_day * self.traffic.disputes_a_payment * self.traffic.events_a_dispute


@dataclass(frozen=True)
class Line:
    item: str
    sum: str
    dollars: float


def read_plan(root: Path = ROOT) -> Plan:
    """With functions' limits from the topology, and providers' from prod's variables."""
    functions = json.loads((root / "functions" / "topology.json").read_text())["functions"]
    text = (root / "terraform" / "envs" / "prod.tfvars").read_text().split("payment_providers")[1]
    own = re.findall(r"^  (\w+)\s*= \{(.*)\}", text, re.MULTILINE)
    limits = {
        name: int(found[1]) if (found := re.search(r"max_instances\s*=\s*(\d+)", rest)) else None for name, rest in own
    }
    providers = {name: limit or functions["webhook"]["max_instances"] for name, limit in limits.items()}
    variables = (root / "terraform" / "variables.tf").read_text()
    [edge] = re.findall(r"requests_per_minute = optional\(number, (\d+)\)", variables)
    return Plan(functions=functions, providers=providers, edge_requests=float(edge))


def costs(plan: Plan) -> Iterator[Line]:
    traffic, each, price = plan.traffic, plan.each, plan.price

    def line(item: str, amount: float, unit: str, dollars: float, of: str) -> Line:
        return Line(item, f"{of} = {amount:,.0f} {unit} x ${dollars:g}", amount * dollars)

    requests = {
        "webhook": traffic.webhooks_a_day,
        "record_payment": plan.events_a_day,
        "score_payment": plan.events_a_day,
        "track_dispute": plan.disputes_a_day,
    }
    for name, daily in requests.items():
        rate = getattr(plan.instance, name)
        gib = _gib(plan.functions[name]["memory"])
        seconds = daily * DAYS / rate
        dollars = price.run_vcpu_second + gib * price.run_gib_second
        yield line(f"Cloud Run {name}", seconds, "instance-s", dollars, f"{daily / 1e6:g} M/day / {rate:g}/s")
    million = sum(requests.values()) * DAYS / MILLION
    yield line("Cloud Run requests", million, "M", price.run_million_requests, "all four")
    warm = len(plan.providers) + sum(
        f.get("min_instances_prod", 0) for name, f in plan.functions.items() if name != "webhook"
    )
    idle = price.run_idle_vcpu_second + 0.5 * price.run_gib_second
    yield line("Cloud Run warm instances", warm * MONTH, "idle instance-s", idle, f"{warm} x {DAYS} days")

    published = traffic.webhooks_a_day * each.delivery_bytes + plan.events_a_day * each.event_bytes
    published += traffic.payments_a_day * each.decision_bytes + plan.disputes_a_day * each.update_bytes
    # What a filter takes out is not sent, and is charged as delivered all the same.
    pushed = plan.consumers * plan.events_a_day * max(1_000, each.event_bytes)
    yield line("Pub/Sub published", published * DAYS / TIB, "TiB", price.pubsub_tib, f"{published / 1e9:,.0f} GB/day")
    of = f"{plan.consumers} subscriptions a provider, filtered or not: {pushed / 1e9:,.0f} GB/day"
    yield line("Pub/Sub pushed", pushed * DAYS / TIB, "TiB", price.pubsub_tib, of)
    yield line("Pub/Sub to BigQuery", published * DAYS / TIB, "TiB", price.pubsub_bigquery_tib, "all that is published")
    yield line("Pub/Sub retention", published * 31 / GIB, "GiB", price.pubsub_retained_gib_month, "31 days of it")

    reads = plan.events_a_day * each.record_reads + traffic.payments_a_day * each.score_reads
    reads += (
        traffic.payments_a_day * traffic.rereads_a_payment * each.reread_reads
        + plan.disputes_a_day * each.dispute_reads
    )
    writes = plan.events_a_day * each.record_writes
    writes += traffic.payments_a_day * (each.score_writes + each.money_proofs)
    writes += plan.disputes_a_day * each.dispute_writes
    yield line(
        "Firestore reads", reads * DAYS / MILLION, "M", price.firestore_million_reads, f"{reads / 1e6:,.1f} M/day"
    )
    yield line(
        "Firestore writes", writes * DAYS / MILLION, "M", price.firestore_million_writes, f"{writes / 1e6:,.1f} M/day"
    )
    stored = traffic.payments_a_day * DAYS * each.stored_bytes
    versions = writes * 7 * each.written_bytes
    yield line("Firestore storage, each month more", stored / GIB, "GiB", price.firestore_gib_month, "8 kB a payment")
    yield line("Firestore recovery", versions / GIB, "GiB", price.firestore_gib_month, "7 days of writes of 1 kB")
    yield line(
        "Firestore backups, each month more",
        BACKUPS * stored / GIB,
        "GiB",
        price.firestore_backup_gib_month,
        f"{BACKUPS} copies of it",
    )

    yield line(
        "BigQuery storage, each month more", published * DAYS / GIB, "GiB", price.bigquery_gib_month, "rows of a month"
    )
    history = TrainingRequest().history_days
    scanned = history * plan.events_a_day * each.event_bytes * DAYS / TIB
    yield line("BigQuery training", scanned, "TiB", price.bigquery_scanned_tib, f"{history:g} days' events each night")
    lines = traffic.webhooks_a_day + 2 * plan.events_a_day + plan.disputes_a_day
    yield line(
        "Logging", lines * each.log_bytes * DAYS / GIB, "GiB", price.logging_gib, f"{lines / 1e6:,.0f} M lines/day"
    )
    series = 600 * MONTH / 60 * 80 / MIB
    yield line("Monitoring", series, "MiB", price.monitoring_mib, "600 series a minute, 80 bytes each")


@dataclass(frozen=True)
class Limit:
    what: str
    sum: str
    holds: bool


def limits(plan: Plan) -> Iterator[Limit]:
    """What a peak needs, beside what is configured or what Google gives."""
    peak = plan.traffic.webhooks_a_second_peak
    events = peak * plan.traffic.events_a_webhook
    most = max(plan.providers, key=plan.providers.__getitem__)
    need = math.ceil(peak * plan.traffic.busiest_provider / plan.instance.webhook)
    yield Limit(
        f"webhook-{most}, the busiest",
        f"{plan.traffic.busiest_provider:.0%} of {peak:,.0f}/s / {plan.instance.webhook:g}/s = {need} instances, max_instances {plan.providers[most]}",
        need <= plan.providers[most],
    )
    concurrency = plan.functions["webhook"]["concurrency"]
    waits = 1_000 * concurrency / plan.instance.webhook
    yield Limit(
        "its concurrency",
        f"{concurrency} at once at {plan.instance.webhook:g}/s: full when a request takes {waits:,.0f} ms",
        waits > 100,
    )
    sent = 60 * peak * plan.traffic.busiest_provider / plan.traffic.busiest_addresses
    yield Limit(
        "load balancer, one address",
        f"{sent:,.0f} a minute from each of {plan.traffic.busiest_addresses:g}, requests_per_minute {plan.edge_requests:,.0f}",
        sent <= plan.edge_requests,
    )
    for name in ("record_payment", "score_payment"):
        need, have = math.ceil(events / getattr(plan.instance, name)), plan.functions[name]["max_instances"]
        yield Limit(
            name,
            f"{events:,.0f}/s / {getattr(plan.instance, name):g}/s = {need} instances, max_instances {have}",
            need <= have,
        )
    published = peak * (plan.each.delivery_bytes + plan.traffic.events_a_webhook * plan.each.event_bytes) / 1e6
    yield Limit(
        "Pub/Sub publishing",
        f"{published:,.0f} MB/s of 4,000 MB/s in a large region, 200 MB/s in a small one",
        published < 200,
    )
    pushed = plan.consumers * events * max(1_000, plan.each.event_bytes) / 1e6
    yield Limit("Pub/Sub pushing", f"{pushed:,.1f} MB/s of 140 MB/s in a large region", pushed < 140)
    share = plan.traffic.payments_a_day / plan.traffic.webhooks_a_day
    writes = events * plan.each.record_writes + peak * share * plan.each.score_writes
    # 500 a second at first, then half as much again every five minutes.
    ramp = 5 * math.ceil(math.log(max(1.0, writes / 500)) / math.log(1.5))
    yield Limit(
        "Firestore ramp-up",
        f"{writes:,.0f} writes/s: reached {ramp} minutes after a start from nothing; Pub/Sub holds the rest until then",
        ramp <= 60,
    )
    yield Limit(
        "Firestore, one document",
        "at most about one write a second each; a payment has a handful of events, a hot entity is written by increments",
        True,
    )


def _gib(memory: str) -> float:
    return float(memory.removesuffix("Gi")) if memory.endswith("Gi") else float(memory.removesuffix("Mi")) / 1024


def told(plan: Plan, settings: list[str]) -> Plan:
    """`plan` with `part.name=number` in place."""
    for setting in settings:
        path, _, number = setting.partition("=")
        part, _, name = path.partition(".")
        plan = replace(plan, **{part: replace(getattr(plan, part), **{name: float(number)})})
    return plan


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--set", action="append", default=[], metavar="PART.NAME=NUMBER")
    plan = told(read_plan(), parser.parse_args(arguments).set)
    traffic = plan.traffic
    print(
        f"{traffic.payments_a_day / 1e6:g} M payments and {traffic.webhooks_a_day / 1e6:g} M deliveries a day, for {DAYS} days\n"
    )
    lines = list(costs(plan))
    for line in lines:
        print(f"{line.dollars:>10,.0f} $  {line.item:<36}{line.sum}")
    total = sum(line.dollars for line in lines)
    print(f"{total:>10,.0f} $  in all: ${total / (traffic.payments_a_day * DAYS) * 1e6:,.0f} for a million payments\n")
    print(f"At {traffic.webhooks_a_second_peak:,.0f} deliveries a second:\n")
    for limit in limits(plan):
        print(f"{'holds' if limit.holds else 'LACKS'}  {limit.what:<28}{limit.sum}")


if __name__ == "__main__":
    main()
