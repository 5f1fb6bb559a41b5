"""What is counted is told by the code, what alarms is counted, and whoever is called reads what to do."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.disputes import at_risk
from shared.disputes.deadlines import LOOKS, REMINDERS
from shared.domain.disputes import ExpiredCause
from shared.flows import canaries, freshness
from shared.flows.explain_payouts import LINKED_EVERY, MAY_REST, MAY_WAIT, TRIED_FOR
from shared.flows.monitor_model import UNTRAINED
from shared.flows.nights import IN_A_ROW
from shared.flows.payout_links import SETTLED_WITHIN
from shared.flows.reconcile import LATE
from shared.flows.subscriptions import UNANSWERED
from shared.fraud.attacks import WATCHED
from shared.learning.request import TrainingRequest
from shared.operations.facts import Told, told
from shared.operations.jobs import declared
from shared.runtime import apis
from shared.runtime.entry import FARTHEST_TICK
from terraform.tools import bundle, tool

FOLDER = tool.ROOT / "terraform" / "monitoring"
METRICS: dict[str, Any] = json.loads((FOLDER / "metrics.json").read_text())
ALERTS: dict[str, Any] = json.loads((FOLDER / "alerts.json").read_text())
SLOS: dict[str, Any] = json.loads((FOLDER / "slos.json").read_text())
DASHBOARDS = {path.stem: path.read_text() for path in (FOLDER / "dashboards").glob("*.json")}
TOLD = told(tool.ROOT)
TOPOLOGY: dict[str, Any] = json.loads((tool.ROOT / "functions" / "topology.json").read_text())
RETENTION: dict[str, Any] = json.loads((tool.ROOT / "functions" / "retention.json").read_text())

# Every line has them: shared/runtime/logs.py.
ON_EVERY_LINE = {"event", "function"}


def unknown(metrics: dict[str, Any], said: list[Told]) -> list[str]:
    """Events and fields that are counted and that nothing tells."""
    fields: dict[str, set[str | None]] = {}
    for one in said:
        fields.setdefault(one.event, set()).update(one.fields)
    found = []
    for name, metric in metrics.items():
        found += [f"{name}: no code tells {event}" for event in metric["events"] if event not in fields]
        read = {*metric["labels"], *([metric["value"]] if "value" in metric else [])} - ON_EVERY_LINE
        there = set().union(*(fields.get(event, set()) for event in metric["events"]))
        # None is a `**`: what is in it is not known here.
        found += [
            f"{name}: {field} is no field of {metric['events']}" for field in sorted(read - there) if None not in there
        ]
    return found


def uncounted(metrics: dict[str, Any], said: list[Told]) -> list[str]:
    """Alarms that no metric counts."""
    counted = {event for metric in metrics.values() for event in metric["events"] if metric.get("severity") == "ERROR"}
    return sorted({one.event for one in said if one.by in ("alarm", "failure")} - counted)


def watched(text: str) -> set[str]:
    return set(re.findall(r"logging\.googleapis\.com/user/(\w+)", text))


def looked_for(command: str) -> set[str]:
    """The facts that a command asks the log for."""
    if command.startswith("payin facts "):
        return set(re.findall(r"[a-z_]+", command.partition("payin facts ")[2].partition(" --")[0]))
    named = re.findall(r'jsonPayload\.event=(\([^)]*\)|"\w+")', command)
    return {word for one in named for word in re.findall(r'"(\w+)"', one)}


def test_every_metric_counts_something_that_the_code_tells() -> None:
    assert unknown(METRICS, TOLD) == []


def test_every_alarm_is_counted() -> None:
    assert uncounted(METRICS, TOLD) == []


# Told for whoever reads the log of one payment or one run; a rate of them means nothing.
READ_IN_THE_LOG = {
    "training_failed",
    "training_job_found",
    "training_job_started",
    "readiness_flagged",
    "traffic_watched",
    "attacks_watched",
    "fraud_finding_tracked",
    "canaries_watched",
    "subscriptions_asked",
    "payouts_asked",
    "lists_reconciled",
    "erasures_followed",
    "traffic_resumed",
    "usage_kept",
    "payout_explained",
    "payouts_linked",
    "payouts_put_off",
    "changed_by_person",
    "notification_sent",
    "notification_withheld",
    "endpoint_enabled",
    "endpoint_not_public",
    "endpoint_silent",
    "payment_already_judged",
    "payment_event_ignored",
    "canary_heard",
    "canary_refused",
    "subscriptions_read",
    "subscriptions_not_asked",
    "scoring_ignored",
    "assessment_published",
    "dispute_event_ignored",
    "dispute_linked",
    "fetch_ignored",
    "fraud_on_unnamed_payment",
    "circuit_closed",
    "deliveries_replayed",
    "listed_unread",
    "reconcile_begun_anew",
    "reconcile_ignored",
    "reconcile_stopped",
    "reconciled",
    "training_rows_read",
    "labels_matured",
    "model_fitted",
    "model_refitted",
    "model_trained",
    "champion_not_comparable",
    "estimator_not_opened",
    "champion_rolled_back",
    "champion_kept",
    "champion_pinned",
    "challenger_set",
    "challenger_loaded",
    "challenger_promoted",
    "challenger_dismissed",
    "challenger_compared",
    "challenger_not_comparable",
    "canary_set",
    "book_loaded",
    "revision_published",
    "strategy_loaded",
    "entity_listed",
    "decisions_recomputed",
    "alert_heard",
    "answer_asked",
    "answer_changed_by_person",
    "answer_ignored",
    "answer_lost_to_another",
    "answer_waits",
    "outcomes_unknown",
    "subscriber_cut",
    "decisions_replayed",
    "rules_backtested",
    "spans_left_out",
    "person_erased",
    "erasure_proved",
    "rows_unlinked",
    "rows_nameless",
    "rows_nameless_late",
}


def test_every_fact_is_counted_or_said_to_be_for_reading_alone() -> None:
    counted = {event for metric in METRICS.values() for event in metric["events"]}
    assert {one.event for one in TOLD} - counted == READ_IN_THE_LOG


def test_every_alarm_calls_somebody() -> None:
    called = {value for alert in ALERTS.values() for value in alert["when"].get("values", [])}
    called |= {
        event
        for alert in ALERTS.values()
        if (metric := alert["when"].get("metric")) != "payin_alarms" and metric
        for event in METRICS[metric]["events"]
    }
    assert set(METRICS["payin_alarms"]["events"]) - called == set()


def test_an_alert_waits_for_and_its_commands_look_for_nothing_that_no_code_tells() -> None:
    events = {one.event for one in TOLD}
    for name, alert in ALERTS.items():
        when = alert["when"]
        known = {
            "event": set(METRICS.get(when.get("metric"), {}).get("events", ())),
            "cause": {*ExpiredCause},
            "job": set(GAPS),
        }
        assert set(when.get("values", ())) <= known.get(when.get("label"), set()), name
        for command in (*alert["first"], *alert.get("then", ())):
            assert looked_for(command) <= events, f"{name}: {command}"


def test_what_alerts_objectives_and_dashboards_watch_is_counted_and_what_is_counted_is_watched() -> None:
    seen = watched(json.dumps(SLOS)) | {name for text in DASHBOARDS.values() for name in watched(text)}
    seen |= {name for alert in ALERTS.values() if (name := alert["when"].get("metric") or alert["when"].get("absent"))}
    assert seen == set(METRICS)


def test_labels_that_are_watched_are_labels_of_the_metric() -> None:
    for text in DASHBOARDS.values():
        for widget in json.loads(text)["gridLayout"]["widgets"]:
            for data in widget["xyChart"]["dataSets"]:
                query = data["timeSeriesQuery"]["timeSeriesFilter"]
                for name in watched(query["filter"]):
                    by = {
                        field.removeprefix("metric.label.") for field in query["aggregation"].get("groupByFields", ())
                    }
                    assert by <= set(METRICS[name]["labels"]), f"{widget['title']}: {by}"
    for name, alert in ALERTS.items():
        if metric := alert["when"].get("metric") or alert["when"].get("absent"):
            used = {*alert["when"].get("by", ()), *([alert["when"]["label"]] if "label" in alert["when"] else [])}
            assert used <= set(METRICS[metric]["labels"]), name


def test_an_objective_is_made_of_what_monitoring_takes() -> None:
    # A ratio is of counts, a cut of a distribution; windows are of gauges, which no metric on logs is.
    shared = {"title", "service", "goal", "means", "first", "rollback"}
    for name, slo in SLOS.items():
        assert set(slo) - shared in ({"total", "bad"}, {"distribution", "within"}), name
        assert 0 < slo["goal"] <= 0.9999, name
        for part, distributed in (("total", False), ("bad", False), ("distribution", True)):
            for metric in watched(slo.get(part, "")):
                assert ("value" in METRICS[metric]) == distributed, f"{name}: {metric}"


def gap(schedule: str) -> timedelta:
    """The longest time between two runs of a job that runs each day by these minutes and hours."""
    minutes, hours = (within(field, end) for field, end in zip(schedule.split(), (60, 24), strict=False))
    assert schedule.split()[2:] == ["*"] * 3, "say here how long such a job rests"
    runs = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    return timedelta(minutes=max(later - run for run, later in zip(runs, [*runs[1:], runs[0] + 24 * 60], strict=True)))


def within(field: str, end: int) -> list[int]:
    every, _, step = field.partition("/")
    return list(range(0, end, int(step or 1))) if every == "*" else [int(one) for one in field.split(",")]


GAPS = {one.name: gap(one.schedule) for one in declared(TOPOLOGY["functions"])}

LONGEST_ABSENCE = timedelta(hours=23.5)
"""https://docs.cloud.google.com/monitoring/alerts/metric-absence: a job that runs once a day cannot be missed by it."""


def test_a_job_that_stands_still_calls_somebody() -> None:
    missed = {
        job: (timedelta(seconds=int(alert["when"]["for"].removesuffix("s"))), alert["first"])
        for alert in ALERTS.values()
        if alert["when"].get("absent") == "payin_jobs_ended"
        for job in alert["when"]["values"]
    }
    assert set(missed) == set(GAPS) - set(ONCE_A_DAY)
    assert {job for job in GAPS if GAPS[job] > LONGEST_ABSENCE} == set(ONCE_A_DAY)
    assert set(ONCE_A_DAY.values()) <= {value for alert in ALERTS.values() for value in alert["when"].get("values", ())}
    for job, (after, first) in missed.items():
        # One run that is late, or has to be tried again, calls nobody.
        assert 1.5 * GAPS[job] <= after <= LONGEST_ABSENCE, job
        assert first[0].startswith("payin jobs show"), job
        assert any(command.startswith(f"payin jobs run {job} ") for command in first), job


# And what calls somebody instead.
ONCE_A_DAY = {"train_model": "training_stands_still"}


def test_a_longest_rest_is_known_of_each_kind_of_schedule() -> None:
    rests = {
        one: gap(one) / timedelta(minutes=1) for one in ("* * * * *", "*/5 * * * *", "40 */2 * * *", "20 4,16 * * *")
    }
    assert list(rests.values()) == [1, 5, 120, 720]
    assert gap("15 3 * * *") == timedelta(days=1)


def test_every_alert_says_what_it_means_what_to_do_first_and_how_to_go_back() -> None:
    for name, alert in ALERTS.items():
        assert len(alert["means"]) > 60, name
        assert len(alert["first"]) == 3, f"{name}: three commands, no more and no less"
        assert alert["rollback"], name
        # That they can be done tests/cli/test_runbooks.py shows.
        assert {command.split()[0] for command in alert["first"]} == {"payin"}, name
        for command in alert.get("then", ()):
            assert command.split()[0] in {"gcloud", "bq", "git", "make", "curl"}, f"{name}: {command}"
        for command in alert["first"]:
            assert command.split()[0] in {"gcloud", "bq", "git", "make", "curl", "payin"}, f"{name}: {command}"


def test_what_is_to_be_rolled_back_is_deployed_under_that_name() -> None:
    texts = "".join((FOLDER / f"{file}.json").read_text() for file in ("alerts", "slos"))
    named = set(re.findall(r"FN=([\w{}<>-]+)", texts)) - {"<consumer>", "<the"}
    assert named
    for name in named:
        assert re.sub("[{<]provider[}>]", "stripe", name) in bundle.deployments(), name


# Figures in what people read


def figures(text: str) -> list[str]:
    """What `text` says of how long and how often: "six hours", "24 hours", "half a minute", "five times"."""
    number = r"(?:\d+ to )?\d+|five|six|seven|nine|three|fifteen|twenty|two|half an?|an?"
    found: list[str] = re.findall(
        rf"\b(?:{number}) (?:seconds?|minutes?|hours?|days?|nights?|weeks?|tries|times)\b", text
    )
    return found


def all_in_terraform(file: str, pattern: str) -> list[int]:
    return [int(found) for found in re.findall(pattern, (tool.ROOT / "terraform" / file).read_text())]


def in_terraform(file: str, pattern: str) -> int:
    [found] = all_in_terraform(file, pattern)
    return found


WAITS = r'message_retention_duration = "(\d+)s"'
"""How long a message that nobody takes is kept."""


def outage() -> int:
    """Whole hours that the tries of a message outlast."""
    first, last = (in_terraform("messaging.tf", rf'{name}_wait\s*= "(\d+)s"') for name in ("first", "last"))
    waits = [min(last, first << nth) for nth in range(in_terraform("messaging.tf", r"tries\s*= (\d+)") - 1)]
    return sum(waits) // 3600


def hours(time: timedelta) -> float:
    return time / timedelta(hours=1)


def tries() -> int:
    return in_terraform("messaging.tf", r"tries\s*= (\d+)")


def ack_seconds() -> list[int]:
    return [seconds for name in providers.names() if (seconds := providers.load(name).TRAITS.ack_seconds)]


# What each says, and whether that is so.
SAID: dict[str, dict[str, Callable[[], bool]]] = {
    "clocks_disagree": {"an hour": lambda: hours(FARTHEST_TICK) == 1},
    "deadlines_unchecked": {
        "five minutes": lambda: TOPOLOGY["functions"]["check_deadlines"]["schedule"] == "*/5 * * * *",
        "half an hour": lambda: ALERTS["deadlines_unchecked"]["when"]["for"] == "1800s",
        "six hours": lambda: min(hours(before) for before in REMINDERS.values()) == 6,
    },
    "canary_unheard": {
        "five minutes": lambda: timedelta(minutes=5) == canaries.UNHEARD,
        "a minute": lambda: timedelta(minutes=1) == canaries.SLOW,
    },
    "traffic_unwatched": {"three hours": lambda: ALERTS["traffic_unwatched"]["when"]["for"] == "10800s"},
    "erasures_stand_still": {"three hours": lambda: ALERTS["erasures_stand_still"]["when"]["for"] == "10800s"},
    "lists_unreconciled": {
        "two hours": lambda: hours(GAPS["reconcile"]) == 2,
        "six hours": lambda: ALERTS["lists_unreconciled"]["when"]["for"] == "21600s",
    },
    "payouts_unasked": {
        "two hours": lambda: hours(GAPS["explain_payouts"]) == 2,
        "six hours": lambda: ALERTS["payouts_unasked"]["when"]["for"] == "21600s",
    },
    "subscriptions_unasked": {
        "a day": lambda: (
            hours(GAPS["subscriptions"]) == 12 and ALERTS["subscriptions_unasked"]["when"]["for"] == "84600s"
        )
    },
    "canaries_unwatched": {"twenty minutes": lambda: ALERTS["canaries_unwatched"]["when"]["for"] == "1200s"},
    "subscription_drifted": {
        "a day": lambda: hours(GAPS["subscriptions"]) == 12,
        "two days": lambda: timedelta(days=2) == UNANSWERED,
    },
    "case_needs_a_person": {"24 hours": lambda: max(hours(after) for after in LOOKS.values()) == 24},
    "endpoint_gone": {"seven days": lambda: {*all_in_terraform("messaging.tf", WAITS)} == {7 * 86_400}},
    "deadlines_at_risk": {"seven days": lambda: at_risk.DAYS[at_risk.PEOPLE] == 7},
    "attack_suspected": {"half an hour": lambda: timedelta(minutes=30) == WATCHED},
    "model_unwatched": {
        "fifteen minutes": lambda: TOPOLOGY["functions"]["monitor_model"]["schedule"] == "*/15 * * * *",
        "an hour": lambda: ALERTS["model_unwatched"]["when"]["for"] == "3600s",
    },
    "warehouse_thin": {
        "an hour": lambda: hours(freshness.SHORTEST) == 1,
        "five weeks": lambda: freshness.WEEKS == 5,
        "seven days": lambda: in_terraform("warehouse.tf", WAITS) == 7 * 86_400,
    },
    "payouts_unexplained": {
        "three days": lambda: timedelta(days=3) == MAY_REST,
        "nine days": lambda: timedelta(days=9) == SETTLED_WITHIN,
        "a week": lambda: timedelta(days=7) == LINKED_EVERY,
    },
    "payouts_delayed": {
        "12 hours": lambda: hours(MAY_WAIT) == 12,
        "two hours": lambda: TOPOLOGY["functions"]["explain_payouts"]["schedule"] == "40 */2 * * *",
        "30 days": lambda: timedelta(days=30) == TRIED_FOR,
    },
    "learning_stands_still": {
        "14 days": lambda: TrainingRequest().stale_days == 14,
        "two days": lambda: timedelta(days=2) == UNTRAINED,
        "seven nights": lambda: IN_A_ROW == 7,
    },
    "requests_fail": {"twenty tries": lambda: tries() == 20},
    "dead_letters": {
        "twenty tries": lambda: tries() == 20,
        "two hours": lambda: outage() == 2,
        "31 days": lambda: RETENTION["classes"]["given up"]["days"] == 31,
    },
    "backlog_ages": {"fifteen minutes": lambda: ALERTS["backlog_ages"]["when"]["above"] == 15 * 60},
    "dependencies_unavailable": {"two hours": lambda: outage() == 2},
    "objects_not_read_back": {
        "five times": lambda: apis.BREAKS_AFTER == 5,
        "half a minute": lambda: apis.OPEN_FOR == 30,
    },
    "gaps_found": {"six hours": lambda: hours(LATE) == 6},
    "webhook_latency": {"5 to 30 seconds": lambda: [min(ack_seconds()), max(ack_seconds())] == [5, 30]},
    "no_deadline_missed": {"28 days": lambda: in_terraform("monitoring.tf", r"rolling_period_days = (\d+)") == 28},
}


@pytest.mark.parametrize("name", [*ALERTS, *SLOS])
def test_every_figure_in_what_people_are_told_is_the_codes(name: str) -> None:
    said = set(figures((ALERTS | SLOS)[name]["means"]))
    held = SAID.get(name, {})
    assert said == set(held), "say in SAID where each figure comes from"
    assert {figure: holds() for figure, holds in held.items()} == dict.fromkeys(held, True)


def test_a_figure_is_found_in_digits_and_in_words() -> None:
    text = "twenty tries over two hours, a week of it, half an hour, 3 to 30 seconds, 31 days, of two rows a minute"
    assert sorted(figures(text)) == sorted(
        ["twenty tries", "two hours", "a week", "half an hour", "3 to 30 seconds", "31 days", "a minute"]
    )


def test_what_a_provider_says_anew_calls_somebody_its_new_types_too() -> None:
    assert ALERTS["provider_speaks_anew"]["when"] == {
        "metric": "payin_unmapped",
        "by": ["provider", "type"],
        "above": 0,
    }


def test_an_event_that_is_renamed_in_the_code_or_invented_here_is_seen() -> None:
    renamed = [one for one in TOLD if one.event != "deadline_missed"]
    assert "payin_deadlines_missed: no code tells deadline_missed" in unknown(METRICS, renamed)
    lost = [Told(one.event, one.by, one.fields - {"latency_ms"}) for one in TOLD]
    assert "payin_decision_latency: latency_ms is no field of ['payment_judged']" in unknown(METRICS, lost)
    assert uncounted(METRICS, [*TOLD, Told("vault_is_open", "alarm", frozenset())]) == ["vault_is_open"]


def test_both_sides_of_a_choice_are_told(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "choice.py").write_text(
        "from shared.domain.telemetry import alarm, fact\n"
        "def f(bad):\n    say = alarm if bad else fact\n    name = 'a' if bad else 'b'\n    say(name, x=1)\n"
    )
    assert {(one.event, one.by) for one in told(tmp_path)} == {
        (event, by) for event in "ab" for by in ("alarm", "fact")
    }


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_the_plan_holds_each_of_them_with_its_places_filled(env: str, planned: Callable[[str], dict[str, Any]]) -> None:
    plan = planned(env)
    addresses = {one["address"]: one["change"]["after"] for one in plan["resource_changes"]}
    assert {f'google_logging_metric.ours["{name}"]' for name in METRICS} <= set(addresses)
    assert {f'google_monitoring_dashboard.board["{name}"]' for name in DASHBOARDS} <= set(addresses)
    for name in ALERTS:
        policy = addresses[f'google_monitoring_alert_policy.alert["{name}"]']
        assert not re.search(r"\{(project|region|env)\}", policy["documentation"][0]["content"])
    for name in SLOS:
        objectives = [
            address for address in addresses if address.startswith(f'google_monitoring_slo.objective["{name}')
        ]
        burns = [address for address in addresses if address.startswith(f'google_monitoring_alert_policy.burn["{name}')]
        assert objectives
        assert len(burns) == 2 * len(objectives), "a fast and a slow burn for each"


def test_request_lines_are_kept_only_of_trouble_and_facts_always(planned: Callable[[str], dict[str, Any]]) -> None:
    resources = planned("prod")["planned_values"]["root_module"]["resources"]
    kept_out, went_well = (
        one["values"]["filter"]
        for name in ("answered", "went_well")
        for one in resources
        if one["address"] == f"google_logging_project_exclusion.{name}"
    )
    assert 'log_id("run.googleapis.com/requests")' in kept_out
    assert "httpRequest.status<400" in kept_out
    # What is left out of some traces is what went well: no alarm, nothing that an alert's commands look for.
    left_out = set(re.findall(r'"(\w+)"', went_well.partition("jsonPayload.event=")[2].partition(")")[0]))
    assert "severity=INFO" in went_well
    assert left_out <= {one.event for one in TOLD if one.by == "fact"}
    for name, alert in ALERTS.items():
        for command in (*alert["first"], *alert.get("then", ())):
            assert not looked_for(command) & left_out or "severity>=ERROR" in command, f"{name}: {command}"
