"""A new revision earns its requests, and what burns goes back by itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from terraform.tools import bundle, traffic
from terraform.tools.google import Answer, Unanswered
from terraform.tools.traffic import Burned, CloudRun, NoFormer, Objective, Service, former, objectives, roll_out, steady
from tests.terraform.google_world import LATEST, PLACE, World

STRIPE, SCORE = "webhook-stripe", "score-payment"
DENIED = Answer(403, {"error": {"code": 403, "message": "Permission monitoring.timeSeries.list denied"}})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return World()


def run(world: World) -> CloudRun:
    return CloudRun(world, "europe-west1")


def milliseconds(*counts: int) -> dict[str, Any]:
    """Requests below 500 ms, below 1 s, below 2 s and beyond, as Cloud Run tells them."""
    return {
        "count": str(sum(counts)),
        "bucketOptions": {"explicitBuckets": {"bounds": [500, 1000, 2000]}},
        "bucketCounts": [str(count) for count in counts],
    }


def test_a_new_revision_gets_a_share_and_then_everything(world: World) -> None:
    world.deploy(STRIPE, 2, r1=100)
    world.figures[f"{STRIPE}-00002", "answers"] = 1000
    assert roll_out(run(world), [STRIPE]) == {STRIPE: f"{STRIPE}-00002"}
    assert world.said == [
        (STRIPE, {f"{STRIPE}-00001": 95, f"{STRIPE}-00002": 5}),
        (STRIPE, {f"{STRIPE}-00002": 100}),
    ]


BURNS: dict[str, dict[tuple[str, str], Any]] = {
    "webhook_availability: 8 of 1000": {
        (f"{STRIPE}-00002", "answers"): 1000,
        (f"{STRIPE}-00002", "failures"): 8,  # 0.8 %; 14.4 times 0.05 % are 0.72
    },
    "webhook_latency: 150 of 1000": {(f"{STRIPE}-00002", "ms"): milliseconds(800, 50, 100, 50)},
}


@pytest.mark.parametrize("sentence", BURNS)
def test_what_burns_an_objective_goes_back_at_once_with_all_that_came_with_it(sentence: str, world: World) -> None:
    world.deploy(STRIPE, 2, r1=100)
    world.deploy(SCORE, 7, r6=100)
    world.deploy("record-payment", 3, r3=100)  # nothing new
    world.figures.update(BURNS[sentence])
    with pytest.raises(Burned, match=sentence):
        roll_out(run(world), [STRIPE, SCORE, "record-payment"])
    assert world.shares(STRIPE) == {f"{STRIPE}-00001": 100}
    assert world.shares(SCORE) == {f"{SCORE}-00006": 100}
    assert {name for name, _ in world.said} == {STRIPE, SCORE}
    assert len(world.said) == 4  # a share, and back: nobody had everything


def test_what_burns_only_when_it_has_everything_goes_back_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(STRIPE, 2, r1=100)

    def sleep(_: float) -> None:
        if world.shares(STRIPE) == {f"{STRIPE}-00002": 100}:
            world.figures.update(BURNS["webhook_availability: 8 of 1000"])

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(Burned):
        roll_out(run(world), [STRIPE])
    assert world.shares(STRIPE) == {f"{STRIPE}-00001": 100}


def denied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.refuses["timeSeries"] = DENIED


def broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        if seconds > 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)


@pytest.mark.parametrize(("trouble", "error"), [(denied, Unanswered), (broken_off, KeyboardInterrupt)])
def test_what_cannot_be_watched_goes_back(
    trouble: Callable[[World, pytest.MonkeyPatch], None],
    error: type[BaseException],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.deploy(STRIPE, 2, r1=100)
    trouble(world, monkeypatch)
    with pytest.raises(error):
        roll_out(run(world), [STRIPE])
    assert world.shares(STRIPE) == {f"{STRIPE}-00001": 100}


def test_two_failures_may_be_anybodys_and_silence_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.deploy(STRIPE, 2, r1=100)
    world.figures.update({(f"{STRIPE}-00002", "answers"): 2, (f"{STRIPE}-00002", "failures"): 2})
    roll_out(run(world), [STRIPE])
    said = capsys.readouterr().out
    assert f"{STRIPE}-00002 webhook_availability: 2 of 2" in said
    assert f"{STRIPE}-00002 webhook_latency: 0 of 0, so nothing is known" in said


def test_it_is_watched_for_a_bounded_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    world.deploy(STRIPE, 2, r1=100)
    roll_out(run(world), [STRIPE], watched=timedelta(minutes=10))
    assert sum(seconds for seconds in slept if seconds > 1) == 15 * 60


def test_an_operator_in_a_hurry_gives_everything_at_once_and_it_is_watched_all_the_same(world: World) -> None:
    world.deploy(STRIPE, 2, r1=100)
    world.figures.update(BURNS["webhook_availability: 8 of 1000"])
    with pytest.raises(Burned):
        roll_out(run(world), [STRIPE], share=100)
    assert world.said == [(STRIPE, {f"{STRIPE}-00002": 100}), (STRIPE, {f"{STRIPE}-00001": 100})]


def test_what_runs_by_schedule_or_on_call_gets_everything_unwatched(world: World) -> None:
    names = [bundle_name.replace("_", "-") for bundle_name in bundle.deployments()]
    assert [name for name in names if not steady(name)] == [
        "check-deadlines",
        "console",
        "erase",
        "explain-payouts",
        "manage-dispute",
        "manage-rules",
        "monitor-model",
        "notify",
        "reconcile",
        "replay-deliveries",
        "review-payment",
        "train-model",
        "watch-providers",
        "watch-traffic",
    ]
    world.deploy("check-deadlines", 2, r1=100)
    roll_out(run(world), ["check-deadlines"])
    assert world.said == [("check-deadlines", {"check-deadlines-00002": 100})]
    assert world.asked == []


def test_a_new_service_is_pinned_and_what_serves_is_left_alone(world: World) -> None:
    world.deploy(STRIPE, 1)
    world.deploy(SCORE, 4, r4=100)
    assert roll_out(run(world), [STRIPE, SCORE, "not-deployed"]) == {STRIPE: f"{STRIPE}-00001", SCORE: f"{SCORE}-00004"}
    assert world.said == [(STRIPE, {f"{STRIPE}-00001": 100})]


def test_what_follows_the_latest_is_pinned_to_what_it_is_now(world: World) -> None:
    """Only then does a deployment not move its requests."""
    world.deploy(STRIPE, 3)
    world.deploy(SCORE, 4, r3=100)
    assert world.shares(STRIPE) == {LATEST: 100}
    traffic.pin(run(world), [STRIPE, SCORE])
    assert world.said == [(STRIPE, {f"{STRIPE}-00003": 100})]


def test_half_a_rollout_goes_on_from_what_serves_most(world: World) -> None:
    world.deploy(STRIPE, 2, r1=95, r2=5)
    assert [one.name for one in traffic.behind(run(world), [STRIPE])] == [STRIPE]
    world.figures.update(BURNS["webhook_availability: 8 of 1000"])
    with pytest.raises(Burned):
        roll_out(run(world), [STRIPE])
    assert world.shares(STRIPE) == {f"{STRIPE}-00001": 100}


def test_a_change_that_cloud_run_does_not_carry_out_is_told(world: World) -> None:
    world.deploy(STRIPE, 2, r1=100)
    world.refuses["/operations/"] = Answer(
        200, {"name": "o", "done": True, "error": {"code": 9, "message": "not ready"}}
    )
    with pytest.raises(Unanswered, match="webhook-stripe: not ready"):
        run(world).move({STRIPE: {f"{STRIPE}-00002": 100}})
    world.refuses["/operations/"] = Answer(200, {"name": f"{PLACE}/operations/1", "done": False})
    with pytest.raises(Unanswered, match="has not finished"):
        run(world).move({STRIPE: {f"{STRIPE}-00002": 100}})


def test_figures_are_asked_of_the_revision_alone_by_the_minute(world: World) -> None:
    since = datetime(2026, 11, 26, 12, tzinfo=UTC)
    [answers, latency] = objectives(STRIPE)
    world.figures.update({(f"{STRIPE}-00002", "answers"): 100, (f"{STRIPE}-00002", "failures"): 1})
    assert run(world).count(answers, f"{STRIPE}-00002", since) == (1, 100)
    assert run(world).count(latency, f"{STRIPE}-00002", since) == (0, 0)
    for query in world.asked:
        assert query["interval.startTime"] == ["2026-11-26T12:00:00Z"]
        assert query["aggregation.alignmentPeriod"] == ["60s"]
        assert query["aggregation.perSeriesAligner"] == ["ALIGN_DELTA"]
        assert query["aggregation.crossSeriesReducer"] == ["REDUCE_SUM"]
        [filter_] = query["filter"]
        assert f'resource.labels.service_name="{STRIPE}"' in filter_
        assert filter_.endswith(f'resource.labels.revision_name="{STRIPE}-00002"')


def test_a_distribution_of_ours_is_read_by_its_exponential_buckets(world: World) -> None:
    [_, decisions] = objectives(SCORE)
    counts = [0] * 77
    counts[10], counts[60] = 900, 100  # below 0.01 ms, and 0.001 * 1.25^59 = 522 ms
    options = {"exponentialBuckets": {"numFiniteBuckets": 75, "growthFactor": 1.25, "scale": 0.001}}
    told = {"count": "1000", "bucketOptions": options, "bucketCounts": [str(one) for one in counts]}
    world.figures[f"{SCORE}-00001", "decisions"] = told
    assert run(world).count(decisions, f"{SCORE}-00001", datetime.now(UTC)) == (100, 1000)


def test_every_deployment_has_objectives_and_a_consumer_is_judged_by_its_answers() -> None:
    for name in bundle.deployments():
        found = list(objectives(name.replace("_", "-")))
        assert found
        assert all(isinstance(one, Objective) and 0.9 < one.goal < 1 for one in found)
        assert all("{" not in one.total + one.bad + one.distribution for one in found)


def a_service(**shares: int) -> Service:
    return Service(STRIPE, shares, "r9", True, "")


def test_going_back_goes_to_what_served_before_and_then_further_back() -> None:
    history = [{STRIPE: "r1"}, {STRIPE: "r2", SCORE: "s1"}, {STRIPE: "r2", SCORE: "s2"}, {STRIPE: "r4", SCORE: "s2"}]
    assert former(history, a_service(r4=100)) == "r2"  # r3 burned and never served
    back = [*history, {STRIPE: "r2", SCORE: "s2"}]
    assert former(back, a_service(r2=100)) == "r1"
    with pytest.raises(NoFormer, match="no earlier revision on record than r1"):
        former([*back, {STRIPE: "r1"}], a_service(r1=100))


def test_going_back_while_several_serve_ends_that() -> None:
    assert former([{STRIPE: "r1"}], a_service(r1=95, r2=5)) == "r1"


def test_a_revision_that_nobody_recorded_goes_back_to_the_last_that_was() -> None:
    assert former([{STRIPE: "r1"}, {STRIPE: "r2"}], a_service(r9=100)) == "r2"


def test_a_rehearsal_gives_and_takes_as_the_real_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal = traffic.Rehearsal(tmp_path / "traffic.json")
    rehearsal.made([STRIPE])
    assert roll_out(rehearsal, [STRIPE], watched=timedelta()) == {STRIPE: f"{STRIPE}-00001"}
    rehearsal.made([STRIPE])
    assert roll_out(rehearsal, [STRIPE], watched=timedelta()) == {STRIPE: f"{STRIPE}-00002"}
    assert f"would give 95 % to {STRIPE}-00001, 5 % to {STRIPE}-00002 of {STRIPE}" in capsys.readouterr().out
