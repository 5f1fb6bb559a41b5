"""`make demo`: virtual weeks of a subscription business through the real functions, over real HTTP.

Plays traffic with everything that goes wrong in it, trains the model on the first part, lets it decide on the rest,
moves the clock through every dispute's deadline, and reads everything back. Exit code 0 only when every promise held.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from shared.disputes.alerts import HOLD
from tests.simulator.apis import serving_all
from tests.simulator.chaos import Chaos, Post
from tests.simulator.loading import load, names
from tests.simulator.service import MERCHANT
from tests.simulator.world import DAY, HOUR, PROVIDER_NAMES, SCALES, World
from tests.stack.desks import running_desks
from tests.stack.picture import draw
from tests.stack.player import Plan, Player
from tests.stack.report import Answers, Door, Report, Turned, Warned, amounts, measure
from tests.stack.servers import Absent
from tests.stack.stack import alone, orderly, running, virtual_now
from tests.stack.topology import ROOT

MARK = "made-by-payin-demo"


@dataclass(frozen=True, slots=True)
class Demo:
    stack: str
    scale: str
    providers: tuple[str, ...]
    seed: int
    home: Path


def plan_of(days: int) -> tuple[Plan, Chaos]:
    """Train when two thirds of the traffic has passed; go down for six hours in the first week.

    The simulated cardholders complain sooner than real ones, so that what is silent for twelve days counts as good,
    and a few weeks hold fewer frauds than a real shop's year: training is asked to make do with less of both, and with the
    wide interval that a dozen frauds leave.
    """
    plan = Plan(
        train=round(days * 0.68) * DAY,
        rotate=round(days * 0.4) * DAY,
        kill=14 * DAY + 7 * HOUR,  # in the morning on which the most renewals of the month run
        keep=days * DAY
        + 9 * HOUR,  # the morning after the last new payments: what was disputed lately is not answered yet
        training={
            "maturity_days": 12,
            "burn_in_days": 2,
            "gap_days": 1,
            "least_frauds": 8,
            "least_frauds_held_out": 2,
            "least_lift": 0.5,
        },
    )
    return plan, Chaos(outages=((5 * DAY + 6 * HOUR, 5 * DAY + 12 * HOUR),))


def play(
    demo: Demo, show: Callable[[World, datetime, str], None], started: Callable[[], None]
) -> tuple[World, Player, Report, timedelta]:
    """Run it all in `demo.home`, which must be empty; tell when everything has `started`."""
    world = World(SCALES[demo.scale], demo.seed, demo.providers)
    simulators = {name: load(name, demo.seed, demo.home / "providers") for name in demo.providers}
    environment: dict[str, str] = {"PROVIDERS": ",".join(demo.providers)}
    plan, chaos = plan_of(world.scale.days)
    post = Post(chaos, demo.seed, simulators, world.end)
    with contextlib.ExitStack() as cleanup:
        for simulator in simulators.values():
            environment |= simulator.environment()
        environment |= cleanup.enter_context(serving_all(simulators))
        desks = cleanup.enter_context(running_desks(demo.providers, lambda: virtual_now(demo.home)))
        # What others read back of a provider's is answered by its simulator.
        own = {"respond_dispute": {**desks.settings, "PAYIN_MERCHANT": json.dumps(MERCHANT)}}
        stack = cleanup.enter_context(
            running(demo.stack, demo.home, environment, clock=world.start, own=own, PAYIN_MODEL="none")
        )
        started()
        began = time.monotonic()
        player = Player(stack, world, post, simulators, desks, plan)
        player.play(chaos.outages, lambda now, line: show(world, now, line))
        took = timedelta(seconds=time.monotonic() - began)
        return world, player, measure(stack, world, post, player, simulators), took


@contextlib.contextmanager
def fresh(home: Path) -> Iterator[Callable[[], None]]:
    """`home` as an empty folder of ours; never delete what a demo did not write.

    What the run before wrote there is set aside, and comes back unless the one that begins says that it has started.
    """
    before = home.with_name(f".{home.name}.before")
    _put_back(before, home)  # left by a run that was killed before it started
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).exists():
            raise SystemExit(f"{home} is not empty and was not written by a demo: choose another --home")
        home.rename(before)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()
    try:
        yield lambda: shutil.rmtree(before, ignore_errors=True)
    finally:
        _put_back(before, home)


def _put_back(before: Path, home: Path) -> None:
    if before.exists():
        shutil.rmtree(home, ignore_errors=True)
        before.rename(home)


def done(world: World, now: datetime) -> float:
    """The share of the work: nearly all of it while there are new payments."""
    traffic, settling = (now - world.start) / (world.traffic_end - world.start), world.end - world.traffic_end
    return min(0.9 * min(traffic, 1.0) + 0.1 * max(0.0, (now - world.traffic_end) / settling), 1.0)


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Callable[[World, datetime, str], None]]:
    """A bar on a terminal, a line every virtual week elsewhere."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting every function", total=1.0)

            def move(world: World, now: datetime, line: str) -> None:
                bar.update(task, completed=done(world, now), description=f"{now:%d %b %H:%M}  {line}")

            yield move
        return

    began = time.monotonic()

    def tell(world: World, now: datetime, line: str) -> None:
        if (now - world.start) % (7 * DAY) == timedelta():
            share = done(world, now)
            left = (time.monotonic() - began) * (1 - share) / share
            console.print(f"{now:%Y-%m-%d}  {line}  ({share:.0%}, about {left:.0f} s left)")

    yield tell


def summary(console: Console, demo: Demo, player: Player, report: Report, took: timedelta, picture: Path) -> None:
    """The run, for people."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()

    def row(name: str, *parts: str) -> None:
        table.add_row(name, "  ".join(part for part in parts if part))

    found = report.deliveries
    row(
        "deliveries",
        *(f"{found[name]:,} {name.replace('_', ' ')}" for name in ("accepted", "ignored", "unparsed") if found[name]),
        f"{report.duplicates:,} of these duplicates",
        f"{found['forged']:,} forged: refused",
    )
    injected = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(report.injected.items()))
    row("injected", injected)
    signed: dict[str, list[str]] = {}
    for name, count in sorted(report.keys.items()):
        provider, _, key = name.partition(" ")
        signed.setdefault(provider, []).append(f"{count:,} {key}")
    row("signed with", ", ".join(f"{provider} {' + '.join(keys)}" for provider, keys in signed.items()))
    row("payments", *(f"{count:,} {state.replace('_', ' ')}" for state, count in report.payments.most_common()))
    row("decisions", *(f"{count:,} {outcome}" for outcome, count in report.decisions.most_common()))
    if report.door is not None:
        for name, text in said_of(report.door):
            row(name, text)
    quality = report.quality
    if quality is not None:
        row(
            "model",
            f"scored {quality.payments:,} later payments, {quality.frauds} of them fraud",
            f"AP [bold]{quality.ap:.3f}[/bold] ({quality.ap_between[0]:.2f} to {quality.ap_between[1]:.2f} in nine of ten samples; guessing {quality.prior:.3f})",
            f"without abuse of trials and friendly fraud AP {quality.ap_third_party:.3f} (guessing {quality.prior_third_party:.3f})",
        )
        for name, of in (("declined", quality.stopped), ("not approved", quality.caught)):
            row(
                "",
                f"{name}: precision {of.precision:.2f} ({of.right} of {of.flagged}), recall {of.recall:.2f} ({of.right} of {of.frauds})",
            )
        caught = (
            f"{kind.value.replace('_', ' ')} {hit}/{all_}" for kind, (hit, all_) in quality.recall_by.items() if all_
        )
        row("", f"not approved by kind: {', '.join(caught)}")
    for stage in dict.fromkeys(stage for stage, _ in report.disputes):
        of_stage = ((status, count) for (at, status), count in report.disputes.most_common() if at == stage)
        row("disputes", stage.replace("_", " ") + ":", *(f"{n} {status.replace('_', ' ')}" for status, n in of_stage))
    for name, text in said_of_warned(report.warned):
        row(name, text)
    for name, text in said_of_answers(report.answers, report.doubled, report.unheard):
        row(name, text)
    row("reminders", *(f"{count} at {rung}" for rung, count in report.reminders.items()))
    row(
        "deadlines",
        f"[bold]{report.missed} missed[/bold], as check_deadlines alarms",
        f"{player.ticks:,} runs of check_deadlines",
    )
    median, most = (seconds * 1000 for seconds in report.acknowledged)
    row("acknowledged", f"p50 {median:.1f} ms  p99 {most:.1f} ms  over {len(player.sent.seconds):,} requests")
    seconds = took.total_seconds()
    row(
        "speed",
        f"{report.events:,} events in {seconds:.0f} s: {report.events / seconds:,.0f} a second, all functions on this machine",
    )
    row("result", f"{report.result}  (of every decision, dispute and answer: the same code and seed make the same)")
    row("written", f"{demo.home}  (documents, warehouse, models, logs)")
    row("picture", str(picture))
    console.print()
    console.print(table)
    console.print()
    for problem in report.problems:
        console.print(f"[bold red]broken promise:[/bold red] {problem}")
    if not report.problems:
        console.print(f"[bold green]every promise held[/bold green]: {promises(report)}")


def said_of(door: Door) -> Iterator[tuple[str, str]]:
    """Lines for people, each with its name or none. Money is told in each currency: adding them up needs rates of the day."""
    answered = " ".join(
        f"{name} {seconds * 1000:.1f} ms" for name, seconds in zip(("p50", "p99"), door.answered, strict=True)
    )
    outcomes = "  ".join(f"{count:,} {outcome}" for outcome, count in door.outcomes.most_common())
    yield "asked before", f"{outcomes}  ({door.proved} of the challenged authenticated)  answered {answered}"
    kept, hindered = door.kept, door.hindered
    yield (
        "kept from fraud",
        f"[bold]{money(kept)}[/bold]  {kept.payments} of {kept.of} payments that their issuers would have approved",
    )
    caught = (f"{kind.value.replace('_', ' ')} {of.payments}/{of.of}" for kind, of in door.by_kind.items() if of.of)
    yield "", f"by kind: {', '.join(caught)}"
    share = hindered.payments / hindered.of if hindered.of else 0.0
    yield (
        "hindered",
        f"[bold]{hindered.payments} of {hindered.of:,} good payments, {share:.2%}[/bold]  {money(hindered)}",
    )


def counted(by: Counter[str]) -> str:
    by = +by
    return f"{by.total()}" + (f" ({', '.join(f'{name} {n}' for name, n in sorted(by.items()))})" if by else "")


def said_of_warned(warned: Warned) -> Iterator[tuple[str, str]]:
    """Lines for people, each with its name or none."""
    yield (
        "refunded first",
        f"[bold]{counted(warned.refunded)}[/bold] payments of which their issuers had warned, {counted(warned.by_hand)} more by"
        f" people where we have no API: {amounts(warned.money) or 'nothing'}",
    )
    yield "", "because the disputes were expected to cost more, with their fees"
    yield "", f"held {counted(warned.held)}: {HOLD}; {counted(warned.too_late)} were disputed or refunded already"


def said_of_answers(answers: Answers, doubled: int, unheard: int) -> Iterator[tuple[str, str]]:
    """Lines for people, each with its name or none."""
    yield "answered", f"[bold]fought {counted(answers.fought)}[/bold]  accepted {counted(answers.accepted)}"
    if answers.completeness:
        median = statistics.median(answers.completeness)
        yield "", f"packets have {median:.0%} of what their templates ask for, in the middle"
    for why, count in answers.why.most_common():
        yield "", f"{count}: {why}"
    yield "by people", counted(answers.by_people)
    for why, count in answers.parked.most_common():
        yield "", f"{count} parked: {why}"
    yield "won back", f"[bold]{amounts(answers.won) or 'nothing'}[/bold] by the platform"
    yield "", f"{amounts(answers.by_others) or 'nothing'} by people"
    yield "", f"of {amounts(answers.disputed) or 'nothing'}, all of which is lost where nobody answers"
    if answers.ledger:
        recovered, fees, net = (amounts(answers.ledger[name]) for name in ("recovered", "fees", "net_recovered"))
        yield (
            "net recovered",
            f"[bold]{net or 'nothing'}[/bold], as the ledger has it: {recovered or 'nothing'} came back",
        )
        yield "", f"less fees of {fees or 'nothing'}, where they are told; where nobody answers only the fees are left"
    yield (
        "submissions",
        f"[bold]{doubled} doubled[/bold], as the providers' desks count; {unheard} were taken and the connection broke before we"
        " heard of it",
    )
    if answers.evidence is not None:
        yield "evidence", f"{answers.evidence}  (as it was sent)"


def money(turned: Turned) -> str:
    return amounts(turned.money)


def promises(report: Report) -> str:
    """What held, in one sentence."""
    door = ", what was declined never sent, each request counted once" if report.door else ""
    return f"nothing lost, nothing doubled, no forgery in, fraud told from honest payments{door}, no deadline missed, no answer sent twice"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack.demo", description=__doc__)
    parser.add_argument("--stack", choices=("embedded", "emulators"), default="embedded")
    parser.add_argument("--scale", choices=tuple(SCALES), default="demo")
    parser.add_argument("--providers", default=",".join(PROVIDER_NAMES), help="comma separated, or all")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--home", type=Path, help="where everything is written (default .payin/demo-<stack>)")
    asked = parser.parse_args(arguments)
    home = (asked.home or ROOT / ".payin" / f"demo-{asked.stack}").resolve()
    providers = names() if asked.providers == "all" else tuple(asked.providers.split(","))
    if unknown := set(providers) - set(names()):
        parser.error(f"the simulated business uses {', '.join(names())}, not {', '.join(sorted(unknown))}")
    demo = Demo(asked.stack, asked.scale, providers, asked.seed, home)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    with orderly(), alone(home):
        try:
            return run(demo, console)
        except Absent as missing:
            console.print(f"the {demo.stack} stack cannot run here: {missing}")
            return 2


def run(demo: Demo, console: Console) -> int:
    """The demo and its report; the exit code."""
    home = demo.home
    with fresh(home) as started:
        console.print(f"Pay-In demo: {demo.scale} scale on the {demo.stack} stack, seed {demo.seed}, in {home}")
        with progress(console) as show:
            world, player, report, took = play(demo, show, started)
    picture = home / "run.png"
    weeks = (world.end - world.start) / (7 * DAY)
    draw(
        picture,
        world,
        player,
        report,
        f"{weeks:.0f} virtual weeks, {len({fact.attempt.id for fact in player.facts}):,} payments, "
        f"{len(player.sent.seconds):,} deliveries in {took.total_seconds():.0f} s on the {demo.stack} stack, seed {demo.seed}",
    )
    summary(console, demo, player, report, took, picture)
    (home / "result").write_text(f"{report.result}\n", encoding="ascii")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
