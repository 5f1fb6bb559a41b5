"""The demo's own arithmetic, and its short form from end to end."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3

from shared.disputes.strategy import SMALL, TOO_MUCH
from shared.domain.decisions import Outcome
from tests.simulator.apis import ApiSimulator
from tests.simulator.loading import load, names
from tests.simulator.world import DAY, SCALES, START, Fraud, World
from tests.stack import topology
from tests.stack.console import pages
from tests.stack.demo import MARK, done, fresh, said_of_answers
from tests.stack.dev import SAID, Informed
from tests.stack.report import Answers, Flagged, Judged, Report, judge_the_model, quality
from tests.stack.send import catalogue, say
from tests.stack.servers import Absent
from tests.stack.stack import MIDWAY
from tests.stack.topology import ROOT


def judged(score: float, outcome: Outcome, fraud: Fraud | None) -> Judged:
    return Judged(START, score, outcome, fraud)


def test_quality_is_counted_against_the_truth() -> None:
    found = quality(
        [
            judged(0.9, Outcome.DECLINE, Fraud.STOLEN_CARD),
            judged(0.8, Outcome.DECLINE, None),
            judged(0.7, Outcome.REVIEW, Fraud.ACCOUNT_TAKEOVER),
            judged(0.2, Outcome.APPROVE, None),
            judged(0.1, Outcome.APPROVE, Fraud.FRIENDLY),
        ]
    )
    assert found.prior == 3 / 5
    assert found.ap == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert found.stopped == Flagged(1, 2, 3)
    assert found.caught == Flagged(2, 3, 3)
    assert found.ap_third_party == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found.recall_by[Fraud.FRIENDLY] == (0, 1)
    assert found.recall_by[Fraud.STOLEN_CARD] == (1, 1)


def test_flagging_nobody_wrongs_nobody() -> None:
    found = quality([judged(0.5, Outcome.APPROVE, Fraud.STOLEN_CARD), judged(0.1, Outcome.APPROVE, None)])
    assert (found.stopped.precision, found.stopped.recall) == (1.0, 0.0)


def test_how_sure_the_figure_is_is_the_same_every_time() -> None:
    payments = [judged(n % 7 / 7, Outcome.APPROVE, Fraud.STOLEN_CARD if n % 5 == 0 else None) for n in range(60)]
    found = quality(payments)
    low, high = found.ap_between
    assert low < found.ap < high
    assert quality(payments).ap_between == found.ap_between


@pytest.mark.parametrize(
    ("payments", "problem"),
    [
        ([], "scored 0 payments"),
        ([judged(0.1, Outcome.APPROVE, None)], "scored 1 payments, 0 of them fraud"),
        (
            [judged(0.9, Outcome.APPROVE, Fraud.STOLEN_CARD), judged(0.1, Outcome.APPROVE, None)],
            "let every fraud pass",
        ),
        (
            [judged(0.1, Outcome.REVIEW, Fraud.STOLEN_CARD), judged(0.9, Outcome.APPROVE, None)] * 2,
            "no better than guessing",
        ),
    ],
)
def test_a_model_that_decided_nothing_has_kept_no_promise(payments: list[Judged], problem: str) -> None:
    report = Report(judged=payments)
    judge_the_model(report)
    assert [one for one in report.problems if problem in one]


def test_the_summary_says_who_answered_what_it_brought_and_why() -> None:
    answers = Answers(
        fought=Counter(stripe=2, adyen=1),
        accepted=Counter(stripe=1),
        by_people=Counter(worldpay=1),
        why=Counter({TOO_MUCH: 3, SMALL: 1}),
        parked=Counter({"worldpay takes answers on its own pages only": 1}),
        completeness=[0.5, 0.75, 0.9],
        won=Counter(EUR=1999, JPY=500),
        disputed=Counter(EUR=4000, JPY=500),
        ledger={
            "recovered": {"EUR": 1999, "JPY": 500},
            "fees": {"EUR": 1500},
            "net_recovered": {"EUR": 499, "JPY": 500},
        },
    )
    told = [" ".join(pair) for pair in said_of_answers(answers, 0, 4)]
    for line in (
        "fought 3 (adyen 1, stripe 2)",
        "accepted 1 (stripe 1)",
        "75% of what",
        f"3: {TOO_MUCH}",
        "by people 1 (worldpay 1)",
        "1 parked: worldpay",
        "EUR 19.99, JPY 500[/bold] by the platform",
        "nothing by people",
        "EUR 40.00, JPY 500",
        "EUR 4.99, JPY 500[/bold], as the ledger has it: EUR 19.99, JPY 500 came back",
        "less fees of EUR 15.00",
        "0 doubled",
        "4 were taken",
    ):
        assert any(line in one for one in told), line


def test_a_demo_never_deletes_what_it_did_not_write(tmp_path: Path) -> None:
    home = tmp_path / "mine"
    home.mkdir()
    (home / "mine.txt").touch()
    with pytest.raises(SystemExit, match="not written by a demo"), fresh(home):
        pass
    assert (home / "mine.txt").exists()


def contents(home: Path) -> set[str]:
    return {file.name for file in home.iterdir()}


def test_a_demo_begins_again_in_its_own_folder(tmp_path: Path) -> None:
    home = tmp_path / "run"
    with fresh(home) as started:
        started()
        (home / "payin.sqlite").touch()
    with fresh(home) as started:
        assert contents(home) == {MARK}
        started()
    assert contents(home) == {MARK}
    assert contents(tmp_path) == {"run"}


def test_a_demo_that_cannot_start_leaves_the_last_ones_results(tmp_path: Path) -> None:
    home = tmp_path / "run"
    with fresh(home) as started:
        started()
        (home / "run.png").touch()
    with pytest.raises(Absent), fresh(home):
        raise Absent("no Java")
    assert contents(home) == {MARK, "run.png"}
    assert contents(tmp_path) == {"run"}


def test_nor_does_one_that_is_killed_before_it_has_started(tmp_path: Path) -> None:
    home = tmp_path / "run"
    with fresh(home) as started:
        started()
        (home / "run.png").touch()
    killed = (
        f"import os, pathlib; from tests.stack.demo import fresh\nwith fresh(pathlib.Path({str(home)!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=ROOT, check=False)
    assert contents(home) == {MARK}
    with pytest.raises(Absent), fresh(home):
        raise Absent("no Java")
    assert contents(home) == {MARK, "run.png"}


def test_progress_is_mostly_that_of_new_payments() -> None:
    world = World(SCALES["short"], 1)
    shares = [done(world, world.start + days * DAY) for days in (0, 24.5, 49, 79, 100)]
    assert shares == pytest.approx([0, 0.45, 0.9, 1, 1])


@pytest.mark.parametrize("provider", names())
def test_every_provider_can_send_payments_and_disputes_by_hand(provider: str, tmp_path: Path) -> None:
    simulator = load(provider, 1, tmp_path)
    said = catalogue(simulator, "p1", START)
    expected = {
        "stripe": {"charge.succeeded", "charge.dispute.created", "radar.early_fraud_warning.created", "refund.created"},
        "adyen": {"AUTHORISATION", "CHARGEBACK", "NOTIFICATION_OF_FRAUD", "REFUND"},
        "paypal": {"PAYMENT.CAPTURE.COMPLETED", "CUSTOMER.DISPUTE.CREATED", "PAYMENT.CAPTURE.REFUNDED"},
    }
    assert expected.get(provider, set()) <= set(said)
    _, body = next(iter(said.values()))
    assert simulator.sign(body, START + timedelta(hours=1)).path.split("?")[0] == f"/{provider}"


def test_the_api_that_make_dev_simulates_knows_what_make_send_has_said(tmp_path: Path) -> None:
    (tmp_path / SAID).touch()
    provider, sender = load("gocardless", 1, tmp_path), load("gocardless", 1, tmp_path)
    assert isinstance(provider, ApiSimulator)
    api = Informed(provider, provider.answer, tmp_path / SAID)
    fact, _ = catalogue(sender, "p1", START)["payments.confirmed"]
    headers = {"authorization": "Bearer k", "gocardless-version": "2015-07-06"}
    path = f"/payments/{sender.payment_id(fact.attempt)}"
    assert api("GET", path, headers).status == 404
    say(tmp_path, fact)
    assert api("GET", path, headers).status == 200


def test_every_function_of_the_topology_has_its_folder() -> None:
    for name in topology.functions():
        assert (ROOT / "functions" / name / "main.py").exists()
    assert {own.address for own in topology.pushed()} <= set(topology.topics())


def run(stack: str, home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.stack.demo", "--stack", stack, "--scale", "short", "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "run.png").stat().st_size > 20_000
    return done.stdout


@pytest.mark.slow
def test_the_short_demo_keeps_every_promise(tmp_path: Path) -> None:
    told = run("embedded", tmp_path / "home")
    for line in (
        "every promise held",
        "what was declined never sent",
        "kept from fraud",
        "hindered",
        "0 missed",
        "0 doubled",
        "no answer sent twice",
        "by the platform",
        "forged: refused",
        "AP ",
    ):
        assert line in told
    [document] = (tmp_path / "home").glob("evidence-*.pdf")
    assert document.read_bytes().startswith(b"%PDF-")
    assert "(as it was sent)" in " ".join(told.split())  # wherever the line is broken
    with pages(tmp_path / "home" / MIDWAY) as served:
        shown = {
            path: look(served.url + path) for path in ("/", "/disputes", "/reviews", "/providers", "/rules", "/models")
        }
    assert {path: status for path, (status, _) in shown.items()} == dict.fromkeys(shown, 200)
    assert "Nothing was measured yet" not in shown["/"][1]
    assert "announced" in shown["/disputes"][1]


def look(url: str) -> tuple[int, str]:
    answer = urllib3.request("GET", url, headers={"X-Stand-In-Person": "ana@shop.example"}, retries=False)
    return answer.status, answer.data.decode()
