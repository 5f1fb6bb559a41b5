"""`make cost`: what a month costs and which limits a peak meets, with the arithmetic.

Three kinds of numbers go in, each by its name below: the traffic that is planned for, what one event takes (round trips,
documents, rows and lines, which tests/terraform/test_cost.py measures on the real flows), and Google's list prices. What
an instance serves a second is an assumption until it has been measured on Cloud Run. No free tiers, no discounts.
What is kept grows, so the bill is of the first, the twelfth and the 24th month. How long things are kept is read from the
Terraform files. `--set traffic.webhooks_a_day=1e6` tries another number.
"""

import argparse
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.disputes.at_risk import OPEN_SINCE
from shared.disputes.programmes import BEFORE
from shared.disputes.ready_flags import LOOKED
from shared.domain.erasing import BATCH, FRESH
from shared.domain.payouts import LINES_EACH
from shared.flows.backtest import MOST_DECISIONS
from shared.flows.cohorts import ROWS
from shared.flows.explain_payouts import LINKED_EVERY
from shared.flows.monitor_model import AGES
from shared.flows.payout_links import HAPPENED_SINCE, PAID_SINCE, SETTLED_WITHIN
from shared.flows.readiness import LATE
from shared.flows.skew import HISTORY
from shared.fraud.backtest import REVIEWED_WITHIN
from shared.learning.data_set import SAMPLES, sampling
from shared.learning.request import TrainingRequest

ROOT = Path(__file__).resolve().parents[2]
MONTHS = (1, 12, 24)
DAYS = 30
MONTH = DAYS * 86_400
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
    """Issuers' reports of fraud, which are answered by a refund or a hold. Assumed: two for five disputes."""
    reports_a_payment: float = 0.002
    """Who looks at disputes for a day's work: some forty lists and eighty disputes. Assumed."""
    analysts: int = 50
    workdays: int = 22
    lists_a_day: int = 40
    cases_a_day: int = 80
    """What people can look at: 1,200 a day."""
    reviews_a_payment: float = 0.0002
    """Messages of usage-evidence: of a twentieth of the subscribers each month that they came and what they accepted, of
    another that they left, and of each disputed one their use, once and some days more. Of everybody on every day they use
    the service it would be eleven."""
    usage_a_payment: float = 0.12
    """Subscribers of whom there is a document, of a hundred payments each month."""
    usage_subscribers: float = 10.5
    """Subscribers pay once a month; so many of a hundred are others each month, with cards, devices and addresses of
    their own."""
    new_customers: float = 5.0
    """Customers who ask to be erased, in a month: assumed. With some hundred a month there is one in every day's rows."""
    erasures_a_month: float = 3_000
    """Attempts of a day, of a hundred payments, with a card that was never seen before."""
    newcomers: float = 10.0
    """Rules that people try: how often, and on how many days of decisions."""
    backtests_a_day: float = 4.0
    backtested_days: float = 14.0
    busiest_provider: float = 0.6
    """Of a hundred deliveries, those of providers whose list is read from end to end (five; of Stripe and Apple what failed is
    asked for, and disputes): assumed."""
    listed: float = 15.0
    """Addresses that the busiest provider sends from; Stripe lists twelve."""
    busiest_addresses: float = 12


@dataclass(frozen=True)
class Each:
    """What one of them takes: documents, and bytes of a message with its attributes, of a row and of a document as
    they are billed (cloud.google.com/bigquery/pricing#data, cloud.google.com/firestore/docs/storage-size)."""

    record_reads: int = 2  # the payment and its case
    record_writes: int = 1
    money_proofs: int = 1  # that no case was opened beside the first word of what can be given back
    score_reads: int = 6
    score_writes: int = 6
    reread_reads: int = 6
    dispute_reads: int = 5
    dispute_writes: int = 4  # two of them prove what was not there: a name of the payment, a dispute under it
    assessed_bytes: int = 2_000  # a request on its topic, with its packed answer
    door_reads: int = (
        11  # the door's own, once more for the message, and the link's, less those of scoring without a door
    )
    door_writes: int = 5  # what waits under its reference, and its end; the link, a proof, and the payment's name
    """Of a review: the hundred among which the next one is found, and the case; lists are a few more."""
    review_reads: int = 117
    review_writes: int = 6  # opened, claimed, decided, told, and who decided and told, in the audit
    delivery_bytes: int = 4_200  # a body of 2.5 kB in base64, the row around it and its attributes
    event_bytes: int = 1_300
    decision_bytes: int = 5_580
    newcomer_bytes: int = 170  # and of one in so many, what is told of somebody new
    report_reads: int = 30  # kept, decided on and refunded
    report_writes: int = 12
    update_bytes: int = 980
    delivery_row: int = 2_900
    delivery_rest: int = 400  # of a delivery's row, when its bytes are gone
    event_row: int = 720
    decision_row: int = 3_565
    update_row: int = 430
    """Told with each event of a dispute: what the payment was taken for with each until then, two or three."""
    label_bytes: int = 1_500
    label_row: int = 1_100
    watched_decision: int = 8  # of a decision's row, what is read every fifteen minutes: when it was
    newcomer: int = 83  # of a newcomer's, what is read beside it
    watched_delivery: int = 58  # of a delivery's row, what is read every hour: of whom, of what type, when
    measured_decision: int = 150  # of a decision's row, what a day's measures read of all
    audited_event: int = 500  # of an event's row, what the skew audit computes features from
    audited_decision: int = 90  # of a decision's row, what it reads of all of them; vectors only of the sample
    standing_event: int = 140  # of an event's row, what the networks' programmes are counted from
    partition_instant: int = 8  # of any row, when it was: what tells whether its table is fresh
    purchase_event: int = 330  # of an event's row, what the day's purchases are derived from
    purchase_row: int = 100
    """Rows of a payment: a day of which something is told. Assumed: most are captured on the day, one in five is heard of again."""
    purchase_rows: float = 1.2
    wrong_update: int = 80  # of a dispute's row, what says whose payment it is
    flag_row: int = 120  # a third has two networks and most have a reason why not
    measured_flag: int = 28  # of it, what is counted each night
    standing_update: int = 160  # of a dispute's
    waiting_update: int = 190  # of a dispute's row, what says which deadlines are at risk
    hit_decision: int = 430  # what the rules' health reads, of a day's decisions and of those that became old enough
    tried_decision: int = 3_300  # what a backtest reads, of the sample
    verdict_row: int = (
        180  # of the labels that an event of a dispute told, what is read where reviewers' are looked for
    )
    unlinked_event: int = 160  # of an event's row, what is read to rewrite it without names
    proved_event: int = 140  # and to look for a customer, by id or by address
    nameless_delivery: int = 25  # the same of a delivery's, and of a decision's
    nameless_decision: int = 420
    trained_decision: int = 3_200  # of a decision's row, what training reads of the sample
    counted_decision: int = 110  # what it reads of one part in 256 to know how many there are
    named_decision: int = 190  # what it reads once more of the sample, to find labels by payments' names
    labeled_row: int = 550  # of the labels that an event of a dispute told, what is read
    cohort_decision: int = 250  # of a decision's row, what a week's performance reads
    payout_line: int = 60  # of a row with thousands of a payout's lines, each as it is published
    payout_line_row: int = 37  # and as it is kept
    payout_line_seconds: float = (
        0.00003  # read, added up and told: 19 microseconds on our machine, and a report's download
    )
    linked_event: int = 110  # of an event's row, what says by which names a line may be found
    """Rows that are read with those of the sample, for they are in a block with them: of each day, assumed. Blocks are of
    some ten to hundreds of MiB."""
    trained_beside: int = 40_000
    claim_reads: int = 1  # of what is claimed of a payment, to publish it with the decision
    usage_reads: int = 1
    usage_writes: int = 1
    erasure_reads: int = 150  # of a year's payments with their decisions, cases and histories, looked for four times
    erasure_writes: int = 60
    usage_bytes: int = 900  # of a message; a history is some kilobytes, and one in twenty
    log_bytes: int = 650  # a line with its trace and its execution's id; three functions tell one each
    payment_document: int = 1_590
    payment_index: int = 150  # its entry under who paid it
    decision_document: int = 1_256
    entities_document: int = 1_600  # of a customer: card, account, device and address
    dispute_document: int = 4_000  # with its case and its claim
    review_document: int = 1_100  # closed, with its trail
    review_audit: int = 1_700  # who said the last word, and why, for good
    usage_document: int = 850  # of somebody who came and accepted; of one in twenty a month of use, ten times as much
    """Of a canary: what was heard before, and when it is sent what was heard of it and whether its provider is parked."""
    canary_reads: int = 3
    canary_writes: int = 1
    canary_bytes: int = 2_000  # both messages; each is charged as 1,000 bytes at least
    watch_seconds: float = 0.5  # of a minute's look at all providers, most of it waiting: assumed
    list_reads: int = (
        101  # a page of 50 disputes, one more to know whether there is another page, and the cases of the page
    )
    case_reads: int = 14  # a dispute with its payment, decision, review and comments, and what its evidence is made of
    looked_writes: int = 2  # that somebody looked, and what they did: the audit has a record of each
    answer_reads: int = 24  # decided and sent, its clock and what is told of it
    history_reads: int = 4  # of each payment of the subscriber, with its case, twice
    answer_writes: int = 12
    answer_seconds: float = 3.0  # a handful of calls at a provider, most of it waiting: assumed
    listed_event: int = 80  # of an event's row, what is read to know that it came
    listed_seconds: float = 0.0004  # of a list, a page of 100 in 0.3 s, eight providers at once: assumed
    packet_bytes: int = 60_000  # some pages of PDF and what they say
    written_bytes: int = 1_000  # a version of a document that is kept for a week


@dataclass(frozen=True)
class Instance:
    """Requests a second that one instance of one vCPU serves on average: assumed, to be replaced by what Cloud Run shows."""

    webhook: float = 150
    record_payment: float = 90
    score_payment: float = 65
    assess_payment: float = 50
    track_dispute: float = 60
    keep_evidence: float = 60


@dataclass(frozen=True)
class Price:
    """US dollars, on demand, in europe-west1 (Belgium), which prod's variables name, as listed on 2026-09-30. Another
    region has other prices: a test holds the region to these."""

    region: str = "europe-west1"
    run_vcpu_second: float = 0.000024  # cloud.google.com/run/pricing, request-based, a tier 1 region
    run_gib_second: float = 0.0000025
    run_million_requests: float = 0.40
    run_idle_vcpu_second: float = 0.0000025  # a minimum instance while it serves nothing
    pubsub_tib: float = 40.0  # cloud.google.com/pubsub/pricing, one price everywhere: published, and delivered
    pubsub_bigquery_tib: float = 50.0  # delivered by a BigQuery subscription, the write included
    pubsub_retained_gib_month: float = 0.27
    firestore_million_reads: float = 0.33  # cloud.google.com/firestore/pricing, a tenth more than in Iowa
    firestore_million_writes: float = 0.99
    firestore_million_deletes: float = 0.11
    firestore_gib_month: float = 0.165  # also of the versions that point-in-time recovery keeps
    firestore_backup_gib_month: float = 0.033
    storage_gib_month: float = 0.02  # cloud.google.com/storage/pricing, standard
    bigquery_gib_month: float = 0.02  # cloud.google.com/bigquery/pricing, logical; half of it after 90 days
    bigquery_scanned_tib: float = 7.50  # 6.25 in the multi-region EU
    logging_gib: float = 0.50  # cloud.google.com/stackdriver/pricing, one price everywhere
    monitoring_mib: float = 0.258
    """A metric that an alert's condition looks at: charged from September 2027 at the earliest, counted from the start."""
    monitoring_condition: float = 0.35
    monitoring_million_points: float = 0.50
    trace_million_spans: float = 0.20  # cloud.google.com/stackdriver/pricing, above those that are free
    trace_free_million_spans: float = 2.5


@dataclass(frozen=True)
class Kept:
    """How long things are kept, and of how many copies: as the Terraform files say."""

    backups: int
    retention_days: int
    archive_days: int  # of topics that only the warehouse reads
    deliveries_days: float
    payouts_days: float
    purchases_days: float
    flags_days: float
    entities_days: int
    usage_days: int
    evidence_days: int
    """Part of the lines of what went well that are kept."""
    lines: float


@dataclass(frozen=True)
class Plan:
    traffic: Traffic = Traffic()
    each: Each = Each()
    instance: Instance = Instance()
    price: Price = Price()
    functions: Any = None
    providers: Any = None
    kept: Any = None
    counters: int = 0
    distributions: int = 0
    conditions: int = 0
    """What the load balancer, if there is one, takes from one address in a minute."""
    edge_requests: float = 0
    """The share of traces whose spans are exported."""
    spans: float = 0

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
    def usage_a_day(self) -> float:
        """Messages of other systems on how subscribers used what they bought."""
        return self.traffic.payments_a_day * self.traffic.usage_a_payment

    @property
    def decision_bytes(self) -> float:
        """Of a decision's message, one with another."""
        return self.each.decision_bytes + self.traffic.newcomers / 100 * self.each.newcomer_bytes

    @property
    def disputes_a_day(self) -> float:
        """Events of disputes."""
        return self.traffic.payments_a_day * self.traffic.disputes_a_payment * self.traffic.events_a_dispute


@dataclass(frozen=True)
class Line:
    """dollars: in each of MONTHS."""

    item: str
    sum: str
    dollars: tuple[float, ...]


def read_plan(root: Path = ROOT) -> Plan:
    """With functions' limits from the topology, providers' from prod's variables, and what is kept from Terraform."""
    terraform = root / "terraform"
    functions = json.loads((root / "functions" / "topology.json").read_text())["functions"]
    prod = (terraform / "envs" / "prod.tfvars").read_text()
    text = prod.split("payment_providers")[1]
    own = re.findall(r"^  (\w+)\s*= \{(.*)\}", text, re.MULTILINE)
    limits = {
        name: int(found[1]) if (found := re.search(r"max_instances\s*=\s*(\d+)", rest)) else None for name, rest in own
    }
    providers = {name: limit or functions["webhook"]["max_instances"] for name, limit in limits.items()}
    [edge] = re.findall(r"requests_per_minute = optional\(number, (\d+)\)", (terraform / "variables.tf").read_text())
    counters, distributions = _series(terraform / "monitoring", len(providers))
    return Plan(
        functions=functions,
        providers=providers,
        kept=_kept(root),
        counters=counters,
        distributions=distributions,
        conditions=_conditions(terraform / "monitoring", len(providers)),
        edge_requests=float(edge),
        spans=float(spans[0]) if (spans := re.findall(r"^spans\s*= ([\d.]+)", prod, re.MULTILINE)) else 0.0,
    )


def _kept(root: Path) -> Kept:
    def of(file: str, pattern: str) -> list[str]:
        found: list[str] = re.findall(pattern, (root / "terraform" / file).read_text())
        return found

    read = json.loads((root / "functions" / "retention.json").read_text())

    def days(kind: str, name: str) -> Any:
        """Of what is kept, math.inf where its class has no end."""
        kept = read["classes"][read[kind][name]]["days"]
        return math.inf if kept is None else kept

    [dropped] = of("monitoring.tf", r"sample\(trace, ([\d.]+)\)")
    [entities] = re.findall(
        r"FORGOTTEN_AFTER = timedelta\(days=(\d+)\)", (root / "shared" / "flows" / "judged.py").read_text()
    )
    [usage] = re.findall(r"KEPT = timedelta\(days=(\d+)\)", (root / "shared" / "domain" / "usage.py").read_text())
    return Kept(
        backups=days("backups", "daily") + days("backups", "weekly") // 7,
        retention_days=days("topics", "payment-events"),
        archive_days=days("topics", "deliveries"),
        deliveries_days=days("tables", "deliveries"),
        payouts_days=days("tables", "payouts"),
        purchases_days=days("tables", "purchases"),
        flags_days=days("tables", "readiness"),
        entities_days=int(entities),
        usage_days=int(usage),
        evidence_days=days("buckets", "evidence"),
        lines=1 - float(dropped),
    )


# How many of each there are of one provider, or in all where a metric does not tell providers apart: assumed.
LABELS = {
    "outcome": 4,
    "act": 2,
    "reason": 1,
    "key_id": 1,
    "status": 3,
    "function": 3,
    "fallback": 1,
    "model": 1,
    "repeated": 1,
    "late": 1,
    "digest": 2,
    "stage": 2,
    "rung": 2,
    "cause": 1,
    "type": 2,
    "resource": 1,
    "event": 1,
    "job": 9,
}


def _series(folder: Path, providers: int) -> tuple[int, int]:
    """Series of our metrics on logs: counters and distributions."""
    found = [0, 0]
    for metric in json.loads((folder / "metrics.json").read_text()).values():
        each = math.prod(providers if label == "provider" else LABELS[label] for label in metric["labels"])
        found["value" in metric] += each
    return found[0], found[1]


def _conditions(folder: Path, providers: int) -> int:
    """Conditions of alerts: one each, and of every objective two windows of two burns."""
    objectives = json.loads((folder / "slos.json").read_text()).values()
    alerts = json.loads((folder / "alerts.json").read_text())
    return len(alerts) + 4 * sum(providers if one["service"] == "webhook" else 1 for one in objectives)


def held(month: float, since: float = 0, until: float = math.inf) -> float:
    """Months of what comes in a month that are there on the average of `month`, of an age of `since` to `until` months."""
    age = month - 0.5
    return min(age, until) - min(age, since)


def line(item: str, amount: float, unit: str, dollars: float, of: str) -> Line:
    """What costs the same in every month."""
    return Line(item, f"{of} = {amount:,.0f} {unit} x ${dollars:g}", (amount * dollars,) * len(MONTHS))


def costs(plan: Plan) -> Iterator[Line]:
    traffic, each, price, kept = plan.traffic, plan.each, plan.price, plan.kept

    def growing(item: str, amounts: list[float], unit: str, dollars: float, of: str) -> Line:
        told = ", ".join(f"{amount:,.0f}" for amount in amounts)
        return Line(item, f"{of} = {told} {unit} x ${dollars:g}", tuple(amount * dollars for amount in amounts))

    payments = traffic.payments_a_day * DAYS
    judged = traffic.payments_a_day * (1 + traffic.rereads_a_payment)
    requests = {
        "webhook": traffic.webhooks_a_day,
        "record_payment": plan.events_a_day,
        # The steps that can be decided on, and disputes; its filter keeps the others out.
        "score_payment": judged + plan.disputes_a_day,
        "track_dispute": plan.disputes_a_day,
        "keep_evidence": plan.usage_a_day,
    }
    for name, daily in requests.items():
        rate = getattr(plan.instance, name)
        gib = _gib(plan.functions[name]["memory"])
        seconds = daily * DAYS / rate
        dollars = price.run_vcpu_second + gib * price.run_gib_second
        yield line(f"Cloud Run {name}", seconds, "instance-s", dollars, f"{daily / 1e6:g} M/day / {rate:g}/s")
    million = sum(requests.values()) * DAYS / MILLION
    yield line("Cloud Run requests", million, "M", price.run_million_requests, "all five")
    spans = max(million * plan.spans - price.trace_free_million_spans, 0)
    of = f"of {plan.spans:.1%} of the requests, the first {price.trace_free_million_spans:g} M free"
    yield line("Cloud Trace spans", spans, "M", price.trace_million_spans, of)
    warm = len(plan.providers) + sum(
        f.get("min_instances_prod", 0) for name, f in plan.functions.items() if name not in ("webhook", DOOR)
    )
    idle = price.run_idle_vcpu_second + 0.5 * price.run_gib_second
    yield line("Cloud Run warm instances", warm * MONTH, "idle instance-s", idle, f"{warm} x {DAYS} days")

    published = traffic.webhooks_a_day * each.delivery_bytes + plan.events_a_day * each.event_bytes
    # A decision again with every word on fraud.
    published += traffic.payments_a_day * plan.decision_bytes
    published += plan.disputes_a_day * (each.update_bytes + each.label_bytes + each.decision_bytes)
    # What a filter takes out is not sent, and is charged as delivered all the same.
    pushed = plan.consumers * plan.events_a_day * max(1_000, each.event_bytes)
    yield line("Pub/Sub published", published * DAYS / TIB, "TiB", price.pubsub_tib, f"{published / 1e9:,.0f} GB/day")
    of = f"{plan.consumers} subscriptions a provider, filtered or not: {pushed / 1e9:,.0f} GB/day"
    yield line("Pub/Sub pushed", pushed * DAYS / TIB, "TiB", price.pubsub_tib, of)
    yield line("Pub/Sub to BigQuery", published * DAYS / TIB, "TiB", price.pubsub_bigquery_tib, "all that is published")
    used = plan.usage_a_day * max(1_000, each.usage_bytes) * 2
    of = f"published and pushed: {used / 1e9:,.1f} GB/day"
    yield line("Pub/Sub usage", used * DAYS / TIB, "TiB", price.pubsub_tib, of)
    events = plan.events_a_day * each.event_bytes + plan.usage_a_day * each.usage_bytes
    published += plan.usage_a_day * each.usage_bytes
    retained = (events * kept.retention_days + (published - events) * kept.archive_days) / GIB
    of = f"{kept.retention_days} days of events, {kept.archive_days} of what only the warehouse reads"
    yield line("Pub/Sub retention", retained, "GiB", price.pubsub_retained_gib_month, of)

    reads = plan.events_a_day * each.record_reads + traffic.payments_a_day * each.score_reads
    reads += traffic.payments_a_day * traffic.rereads_a_payment * each.reread_reads + plan.disputes_a_day * (
        each.dispute_reads + each.claim_reads
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
    reviewed, looked = payments * traffic.reviews_a_payment, each.review_reads * price.firestore_million_reads
    dollars = (looked + each.review_writes * price.firestore_million_writes) / MILLION
    of = f"{each.review_reads} reads and {each.review_writes} writes each"
    yield line("Firestore reviews", reviewed, "", dollars, of)
    dollars = each.usage_reads * price.firestore_million_reads + each.usage_writes * price.firestore_million_writes
    of = f"{each.usage_reads} read and {each.usage_writes} write each"
    yield line("Firestore usage", plan.usage_a_day * DAYS / MILLION, "M", dollars, of)
    looked_for = traffic.lists_a_day * each.list_reads + traffic.cases_a_day * each.case_reads
    dollars = looked_for * price.firestore_million_reads
    dollars += traffic.cases_a_day * each.looked_writes * price.firestore_million_writes
    of = f"{traffic.analysts} people on {traffic.workdays} days, each {traffic.lists_a_day} lists and {traffic.cases_a_day} disputes"
    yield line("Firestore console", traffic.analysts * traffic.workdays, "", dollars / MILLION, of)
    disputed = payments * traffic.disputes_a_payment / MILLION
    read_for = [disputed * (each.answer_reads + each.history_reads * month) for month in MONTHS]
    of = f"{each.answer_reads} reads for an answer, and {each.history_reads} for each month's payment of its subscriber"
    yield growing("Firestore answers", read_for, "M", price.firestore_million_reads, of)
    of = f"{each.answer_writes} writes each"
    yield line("Firestore answering", disputed * each.answer_writes, "M", price.firestore_million_writes, of)
    dollars = each.report_reads * price.firestore_million_reads + each.report_writes * price.firestore_million_writes
    of = f"{each.report_reads} reads and {each.report_writes} writes each, with the refund"
    yield line("Firestore alerts", payments * traffic.reports_a_payment / MILLION, "M", dollars, of)
    dollars = price.run_vcpu_second + _gib(plan.functions[ANSWERING]["memory"]) * price.run_gib_second
    seconds = disputed * MILLION * each.answer_seconds / plan.functions[ANSWERING]["concurrency"]
    of = f"{each.answer_seconds:g} s each, {plan.functions[ANSWERING]['concurrency']} at once"
    yield line(f"Cloud Run {ANSWERING}", seconds, "instance-s", dollars, of)
    sent = [
        disputed * MILLION * each.packet_bytes * held(month, 0, kept.evidence_days / DAYS) / GIB for month in MONTHS
    ]
    of = f"{each.packet_bytes / 1e3:g} kB of a packet for {kept.evidence_days} days"
    yield growing("Storage evidence", sent, "GiB", price.storage_gib_month, of)
    a_payment = (
        each.payment_document
        + each.payment_index
        + each.decision_document
        + traffic.disputes_a_payment * each.dispute_document
    )
    a_payment += traffic.reviews_a_payment * (each.review_document + each.review_audit)
    new = traffic.new_customers / 100

    def stored(month: int) -> float:
        """Payments and decisions stay. Of customers those who left go some time after their last payment."""
        customers = payments * (min(month - 0.5, 1) + new * held(month, 1, kept.entities_days / DAYS))
        told = payments * traffic.usage_subscribers / 100 * held(month, 0, kept.usage_days / DAYS)
        return (
            payments * held(month) * a_payment + customers * each.entities_document + told * each.usage_document
        ) / GIB

    documents = [stored(month) for month in MONTHS]
    of = f"{a_payment / 1e3:.1f} kB a payment, {each.entities_document / 1e3:.1f} a customer, {each.usage_document / 1e3:.1f} of use"
    yield growing("Firestore storage", documents, "GiB", price.firestore_gib_month, of)
    copies = [kept.backups * gib for gib in documents]
    yield growing("Firestore backups", copies, "GiB", price.firestore_backup_gib_month, f"{kept.backups} copies of it")
    versions = (writes + plan.usage_a_day * each.usage_writes) * 7 * each.written_bytes
    yield line("Firestore recovery", versions / GIB, "GiB", price.firestore_gib_month, "7 days of writes of 1 kB")
    gone = [payments * new * 4 * (month * DAYS > kept.entities_days) / MILLION for month in MONTHS]
    gone = [
        one + payments * traffic.usage_subscribers / 100 * (month * DAYS > kept.usage_days) / MILLION
        for one, month in zip(gone, MONTHS, strict=True)
    ]
    of = f"5 documents of who left {kept.entities_days} days ago"
    yield growing("Firestore expiry", gone, "M", price.firestore_million_deletes, of)

    bodies = traffic.webhooks_a_day * DAYS * each.delivery_row / GIB
    emptied = traffic.webhooks_a_day * DAYS * each.delivery_rest / GIB
    events = plan.events_a_day * each.event_row * DAYS / GIB
    decisions = traffic.payments_a_day * each.decision_row * DAYS / GIB
    rest = plan.disputes_a_day * (each.update_row + each.label_row + each.decision_row) * DAYS / GIB
    expire, fresh = kept.deliveries_days / DAYS, FRESH.days / DAYS
    # A partition that nobody wrote to for 90 days costs half: that of events is written to by every batch of erasures.
    cold = 3 if traffic.erasures_a_month == 0 else math.inf
    warehouse = [
        sum(
            amount * (held(month, since, min(cools, until)) + 0.5 * held(month, min(cools, until), until))
            for amount, since, cools, until in (
                (bodies, 0, fresh, fresh),
                (emptied, fresh, fresh + 3, expire),
                (decisions, 0, fresh + 3, math.inf),
                (events, 0, cold, math.inf),
                (rest, 0, 3, math.inf),
            )
        )
        for month in MONTHS
    ]
    of = f"{bodies:,.0f} GiB of deliveries a month, for {FRESH.days} days and {emptied:,.0f} of them for {kept.deliveries_days:g}, "
    of += f"{events:,.0f} of events, {decisions + rest:,.0f} of the rest, half price 90 days after the last write"
    yield growing("BigQuery storage", warehouse, "GiB", price.bigquery_gib_month, of)
    # Of what is rewritten whole partitions are charged, and what is read to do so.
    rewritten = traffic.webhooks_a_day * (each.delivery_row + each.nameless_delivery)
    rewritten += traffic.payments_a_day * (each.decision_row + each.nameless_decision)
    nameless = [rewritten * DAYS * (held(month + 0.5, fresh) - held(month - 0.5, fresh)) / TIB for month in MONTHS]
    of = f"the bytes of deliveries and whom decisions knew, each day's once, {FRESH.days} days later"
    yield growing("BigQuery nameless", nameless, "TiB", price.bigquery_scanned_tib, of)
    if traffic.erasures_a_month:
        passes, looks = DAYS / BATCH.days, DAYS / 7
        a_pass = passes * (each.event_row + each.unlinked_event) + looks * each.proved_event
        swept = [plan.events_a_day * DAYS * held(month) * a_pass / TIB for month in MONTHS]
        of = f"all events every {BATCH.days} days, for {traffic.erasures_a_month:,.0f} customers a month, searched each week"
        yield growing("BigQuery erasures", swept, "TiB", price.bigquery_scanned_tib, of)
        dollars = (
            each.erasure_reads * price.firestore_million_reads + each.erasure_writes * price.firestore_million_writes
        )
        of = f"{each.erasure_reads} reads and {each.erasure_writes} writes each"
        yield line("Firestore erasures", traffic.erasures_a_month / MILLION, "M", dollars, of)
    asked = TrainingRequest()
    scanned = []
    for month in MONTHS:
        days = min((month - 0.5) * DAYS, asked.history_days)
        past = int(days * traffic.payments_a_day)
        kept_of_past = sampling(past, int(past * traffic.disputes_a_payment), asked.max_rows)
        sample = (int(kept_of_past.sample, 16) + 1) / SAMPLES
        trained = min(sample * traffic.payments_a_day + each.trained_beside, traffic.payments_a_day)
        counted = traffic.payments_a_day / SAMPLES + each.trained_beside
        read = trained * (each.trained_decision + each.named_decision) + counted * each.counted_decision
        read += plan.disputes_a_day * each.labeled_row
        scanned.append(days * read * DAYS / TIB)
    of = f"decisions of a sample of {asked.history_days:g} days each night, and all labels"
    yield growing("BigQuery training", scanned, "TiB", price.bigquery_scanned_tib, of)
    days = 1 + HISTORY.days
    audited = days * (plan.events_a_day * each.audited_event + traffic.payments_a_day * each.audited_decision)
    audited += traffic.payments_a_day / SAMPLES * each.decision_row
    of = f"one payment in {SAMPLES} of yesterday, computed from {days} days of rows"
    yield line("BigQuery skew audit", audited * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)

    ticks = 24 * 60 / int(plan.functions[MONITOR]["schedule"].split()[0].removeprefix("*/"))
    # On the average half of the day has passed, and the first three hours look at the day before too.
    passed = 0.5 + 3 / 24
    looked_at = passed * traffic.payments_a_day * (each.watched_decision + traffic.newcomers / 100 * each.newcomer)
    of = f"{ticks:.0f} looks a day at the day's newcomers"
    yield line("BigQuery attacks", ticks * looked_at * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    # The day so far, and at the first look the whole day before.
    hourly = (24 * 0.5 + 1) * traffic.webhooks_a_day * each.watched_delivery
    of = "each hour the day's deliveries by their types"
    yield line("BigQuery traffic", hourly * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    measured = traffic.payments_a_day * each.measured_decision
    measured += 2 * traffic.payments_a_day * each.hit_decision
    yield line("BigQuery health", measured * DAYS / TIB, "TiB", price.bigquery_scanned_tib, "each day once")
    rows_a_day = traffic.webhooks_a_day + plan.events_a_day + traffic.payments_a_day + 2 * plan.disputes_a_day
    # The day before once, and each hour what today has so far.
    counted = (1 + 24 * 0.5) * rows_a_day * each.partition_instant
    of = "whether tables are fresh, each hour, and as full as they were, each day"
    yield line("BigQuery freshness", counted * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    days = 1.5 * DAYS
    standing = days * plan.events_a_day * each.standing_event
    standing += (BEFORE.days + DAYS / 2) * plan.disputes_a_day * each.standing_update
    standing += OPEN_SINCE.days * plan.disputes_a_day * each.waiting_update
    of = f"{days:g} days of events and {BEFORE.days} of disputes, and {OPEN_SINCE.days} for deadlines at risk, each day once"
    yield line("BigQuery programmes", standing * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    purchases = traffic.payments_a_day * each.purchase_rows * each.purchase_row
    # Yesterday's, and those of a week and of a month before once more, whose rows go then.
    days_words = (1 + len(LATE)) * plan.events_a_day * each.purchase_event + purchases
    of = "yesterday's words of payments, and those of a week and a month before"
    yield line("BigQuery purchases", days_words * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    a_day = purchases + plan.disputes_a_day * each.wrong_update
    looked, kept_days = LOOKED.days / DAYS, kept.purchases_days / DAYS
    nights = [a_day * DAYS * held(month, 0, looked) * DAYS / TIB for month in MONTHS]
    of = f"{LOOKED.days} days of them each night"
    yield growing("BigQuery readiness", nights, "TiB", price.bigquery_scanned_tib, of)
    flagged = [payments * (min(month - 0.5, 1) + new * held(month, 1, looked)) for month in MONTHS]
    counts = [one * each.measured_flag * DAYS / TIB for one in flagged]
    yield growing("BigQuery flags", counts, "TiB", price.bigquery_scanned_tib, "everybody's, counted each night")
    lasting = [
        (purchases * DAYS * held(month, 0, kept_days) + one * each.flag_row * kept.flags_days) / GIB
        for month, one in zip(MONTHS, flagged, strict=True)
    ]
    of = f"{kept.purchases_days:g} days of purchases, {kept.flags_days:g} of flags"
    yield growing("BigQuery purchases kept", lasting, "GiB", price.bigquery_gib_month, of)
    if traffic.erasures_a_month:
        # What is read of a day, and what is written anew.
        anew = [2 * purchases * DAYS * held(month, 0, kept_days) * DAYS / BATCH.days / TIB for month in MONTHS]
        of = f"all purchases every {BATCH.days} days, without those of who was erased"
        yield growing("BigQuery purchases erased", anew, "TiB", price.bigquery_scanned_tib, of)
    frauds = int(7 * traffic.payments_a_day * traffic.disputes_a_payment)
    share = (int(sampling(int(7 * traffic.payments_a_day), frauds, ROWS).sample, 16) + 1) / SAMPLES
    cohort = 7 * min(share * traffic.payments_a_day + each.trained_beside, traffic.payments_a_day)
    weekly = len(AGES) * cohort * (each.cohort_decision + each.named_decision)
    weekly += sum(7 + age for age in AGES) * plan.disputes_a_day * each.labeled_row
    of = f"each week's decisions {', '.join(map(str, AGES))} days later"
    yield line("BigQuery cohorts", weekly / 7 * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    days, tried = traffic.backtested_days, min(MOST_DECISIONS, traffic.backtested_days * traffic.payments_a_day)
    tried = min(tried + days * each.trained_beside, days * traffic.payments_a_day) * each.tried_decision
    of = f"{traffic.backtests_a_day:g} a day of {days:g} days"
    amount = traffic.backtests_a_day * tried * DAYS / TIB
    yield line("BigQuery backtests", amount, "TiB", price.bigquery_scanned_tib, of)
    words = 1 + REVIEWED_WITHIN.days + traffic.backtests_a_day * (days + REVIEWED_WITHIN.days)
    words *= plan.disputes_a_day * each.verdict_row
    of = "what reviewers said, where rules are tried and measured"
    yield line("BigQuery verdicts", words * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    dollars = price.run_vcpu_second + _gib(plan.functions[MONITOR]["memory"]) * price.run_gib_second
    yield line(f"Cloud Run {MONITOR}", ticks * DAYS * 2, "instance-s", dollars, f"{ticks:.0f} ticks a day of 2 s")
    looks = 24 / int(plan.functions[LISTING]["schedule"].split()[1].removeprefix("*/"))
    seconds = traffic.webhooks_a_day * traffic.listed / 100 * each.listed_seconds * DAYS
    dollars = price.run_vcpu_second + _gib(plan.functions[LISTING]["memory"]) * price.run_gib_second
    of = f"{traffic.listed:g}% of deliveries are in lists, {each.listed_seconds * 1000:g} ms each"
    yield line(f"Cloud Run {LISTING}", seconds, "instance-s", dollars, of)
    # On the average half of the day has passed, and the first look reads the day before too.
    had = (0.5 + 1 / looks) * plan.events_a_day * traffic.listed / 100 * each.listed_event
    of = f"{looks:.0f} looks a day at the day's events of those providers"
    yield line(f"BigQuery {LISTING}", looks * had * DAYS / TIB, "TiB", price.bigquery_scanned_tib, of)
    dollars = price.run_vcpu_second + _gib(plan.functions[TRAFFIC]["memory"]) * price.run_gib_second
    yield line(f"Cloud Run {TRAFFIC}", 24 * DAYS * 8, "instance-s", dollars, "24 looks a day of 8 s")

    minutes = 24 * 60 * DAYS
    canaries = minutes * len(plan.providers)
    dollars = each.canary_reads * price.firestore_million_reads + each.canary_writes * price.firestore_million_writes
    dollars += 2 * price.run_million_requests
    # Published, and delivered to all that follow the provider's events, whether they take it or not.
    dollars += each.canary_bytes * (1 + plan.consumers / 2) * MILLION / TIB * price.pubsub_tib
    for name in ("webhook", "record_payment"):
        of_instance = price.run_vcpu_second + _gib(plan.functions[name]["memory"]) * price.run_gib_second
        dollars += MILLION / getattr(plan.instance, name) * of_instance
    dollars += each.log_bytes * MILLION / GIB * price.logging_gib
    of = f"{len(plan.providers)} webhooks a minute, {each.canary_reads} reads and {each.canary_writes} write each"
    yield line("Canaries", canaries / MILLION, "M", dollars, of)
    of_instance = price.run_vcpu_second + _gib(plan.functions[WATCHING]["memory"]) * price.run_gib_second
    yield line(
        f"Cloud Run {WATCHING}",
        minutes * each.watch_seconds,
        "instance-s",
        of_instance,
        f"{each.watch_seconds:g} s a minute",
    )

    paid_lines = traffic.payments_a_day
    told_lines = paid_lines * each.payout_line
    of = f"a line of each payment, in rows of {LINES_EACH:,}: {told_lines / 1e9:,.1f} GB/day"
    dollars = price.pubsub_tib + price.pubsub_bigquery_tib
    yield line("Pub/Sub payouts", told_lines * DAYS / TIB, "TiB", dollars, of)
    yearly = [
        paid_lines
        * DAYS
        * each.payout_line_row
        / GIB
        * (held(month, 0, 3) + 0.5 * held(month, 3, kept.payouts_days / DAYS))
        for month in MONTHS
    ]
    of = f"{kept.payouts_days:g} days of payouts' lines"
    yield growing("BigQuery payouts", yearly, "GiB", price.bigquery_gib_month, of)
    # What was captured, that it may be found, and once more that it may be missed; lines for each. While something is owed, from its
    # day on.
    days = 2 * HAPPENED_SINCE.days - SETTLED_WITHIN.days
    looked = days * plan.events_a_day * each.linked_event
    looked += (PAID_SINCE.days + HAPPENED_SINCE.days) * paid_lines * each.payout_line_row
    weekly = DAYS / LINKED_EVERY.days
    of = f"{days} days of events and {PAID_SINCE.days + HAPPENED_SINCE.days} of lines, each week once"
    yield line("BigQuery payout links", looked * weekly / TIB, "TiB", price.bigquery_scanned_tib, of)
    dollars = price.run_vcpu_second + _gib(plan.functions[PAYOUTS]["memory"]) * price.run_gib_second
    of = f"{paid_lines / 1e6:g} M lines a day of {each.payout_line_seconds * 1e6:g} microseconds"
    yield line(f"Cloud Run {PAYOUTS}", paid_lines * DAYS * each.payout_line_seconds, "instance-s", dollars, of)
    yield line("Cloud Run payout ticks", 12 * DAYS * 3, "instance-s", dollars, "12 ticks a day of 3 s")

    lines = (
        traffic.webhooks_a_day + plan.events_a_day + judged + plan.usage_a_day
    ) * kept.lines + 2 * plan.disputes_a_day
    of = f"{kept.lines:.0%} of what went well: {lines / 1e6:,.1f} M lines/day"
    yield line("Logging", lines * each.log_bytes * DAYS / GIB, "GiB", price.logging_gib, of)
    points = (plan.counters * 8 + plan.distributions * 80) * MONTH / 60 / MIB
    of = f"{plan.counters} counters of 8 bytes and {plan.distributions} distributions of 80 a minute"
    yield line("Monitoring metrics", points, "MiB", price.monitoring_mib, of)
    yield line("Monitoring conditions", plan.conditions, "", price.monitoring_condition, "of alerts and objectives")
    asked_for = plan.conditions * 2 * MONTH / 60 / MILLION
    yield line(
        "Monitoring looks", asked_for, "M points", price.monitoring_million_points, "each condition twice a minute"
    )


DOOR = "assess_payment"
MONITOR = "monitor_model"
TRAFFIC = "watch_traffic"
PAYOUTS = "explain_payouts"
ANSWERING = "respond_dispute"
LISTING = "reconcile"
WATCHING = "watch_providers"


def door(plan: Plan) -> Iterator[Line]:
    """What it costs more to have every payment assessed before authorisation.

    Its decision and its history are written there and not when the provider tells of it, where the payment's name, its
    link and what waits under its merchant reference are instead.
    """
    each, price, daily = plan.each, plan.price, plan.traffic.payments_a_day

    function = plan.functions[DOOR]
    rate, seconds = plan.instance.assess_payment, daily * DAYS / plan.instance.assess_payment
    dollars = price.run_vcpu_second + _gib(function["memory"]) * price.run_gib_second
    yield line(f"Cloud Run {DOOR}", seconds, "instance-s", dollars, f"{daily / 1e6:g} M/day / {rate:g}/s")
    again = "each again, when its message comes to score_payment"
    yield line("Cloud Run score_payment", daily * DAYS / plan.instance.assess_payment / 3, "instance-s", dollars, again)
    yield line("Cloud Run requests", 2 * daily * DAYS / MILLION, "M", price.run_million_requests, "both")
    warm = function["min_instances_prod"]
    idle = price.run_idle_vcpu_second + 0.5 * price.run_gib_second
    yield line("Cloud Run warm instances", warm * MONTH, "idle instance-s", idle, f"{warm} x {DAYS} days")
    told = daily * (each.assessed_bytes + plan.decision_bytes)  # the request, and the decision again once it is linked
    of = f"requests, and decisions again with their payments: {told / 1e9:,.0f} GB/day"
    yield line("Pub/Sub published", told * DAYS / TIB, "TiB", price.pubsub_tib, of)
    pushed = plan.consumers * daily * each.assessed_bytes
    yield line("Pub/Sub pushed", pushed * DAYS / TIB, "TiB", price.pubsub_tib, "to every subscription of the provider")
    yield line("Pub/Sub to BigQuery", told * DAYS / TIB, "TiB", price.pubsub_bigquery_tib, "all that is published")
    reads, writes = daily * each.door_reads, daily * each.door_writes
    of = f"{each.door_reads} more a payment"
    yield line("Firestore reads", reads * DAYS / MILLION, "M", price.firestore_million_reads, of)
    of = f"{each.door_writes} more a payment"
    yield line("Firestore writes", writes * DAYS / MILLION, "M", price.firestore_million_writes, of)
    lines = 2 * daily * plan.kept.lines
    of = "a request's line, and its message's"
    yield line("Logging", lines * each.log_bytes * DAYS / GIB, "GiB", price.logging_gib, of)


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
    print("".join(f"{f'month {month}':>10}" for month in MONTHS), " $")
    for one in lines:
        print("".join(f"{dollars:>10,.0f}" for dollars in one.dollars), f" {one.item:<26}{one.sum}")
    totals = [sum(one.dollars[at] for one in lines) for at in range(len(MONTHS))]
    million = ", ".join(f"${total / (traffic.payments_a_day * DAYS) * 1e6:,.0f}" for total in totals)
    print("".join(f"{total:>10,.0f}" for total in totals), f" in all: {million} for a million payments\n")
    print("Beside it, where every payment is assessed before authorisation (`assessments`):\n")
    more = list(door(plan))
    for one in more:
        print(f"{one.dollars[0]:>10,.0f} {one.item:<26}{one.sum}")
    total = sum(one.dollars[0] for one in more)
    print(f"{total:>10,.0f} a month: ${total / (traffic.payments_a_day * DAYS) * 1e6:,.2f} for a million payments\n")
    print(f"At {traffic.webhooks_a_second_peak:,.0f} deliveries a second:\n")
    for limit in limits(plan):
        print(f"{'holds' if limit.holds else 'LACKS'}  {limit.what:<28}{limit.sum}")


if __name__ == "__main__":
    main()
