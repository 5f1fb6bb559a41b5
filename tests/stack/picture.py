"""One picture of a run: traffic by day, how well the model ranks, what became of disputes, how fast we acknowledge."""

import textwrap
from collections import Counter
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from tests.simulator.world import DAY, World
from tests.stack.player import Player
from tests.stack.report import Judged, Report, amounts

_INK, _FAINT = "#1f2937", "#9ca3af"
_PROVIDERS = {"stripe": "#4f46e5", "adyen": "#0d9488", "paypal": "#f59e0b"}
_OTHERS = "#94a3b8"
_REFUSED = "#dc2626"
_STATUS = {
    "needs_response": "#f59e0b",
    "under_review": "#60a5fa",
    "won": "#059669",
    "lost": "#6b7280",
    "accepted": "#a78bfa",
    "expired": "#dc2626",
    "closed": "#d1d5db",
    "prevented": "#34d399",
}


def draw(path: Path, world: World, player: Player, report: Report, subtitle: str) -> None:
    """Write the picture to `path` as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    style: Any = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _FAINT,
        "axes.labelcolor": _INK,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlesize": 11,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with plt.rc_context(style):
        figure = plt.figure(figsize=(14, 8.4), dpi=130, layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=[1, 1.05])
        top, bottom = halves
        figure.suptitle("Pay-In: one run", x=0.008, ha="left", fontsize=16, fontweight="bold")
        top.suptitle(subtitle, x=0.008, ha="left", fontsize=10, color="#6b7280")
        _traffic(top.subplots(), world, player)
        ranking, disputes, speed = bottom.subplots(1, 3, width_ratios=[1, 1.1, 1])
        _ranking(ranking, report)
        _disputes(disputes, report)
        _speed(speed, player, report)
        figure.savefig(path)
        plt.close(figure)


def _traffic(axes: Any, world: World, player: Player) -> None:
    days = (world.end - world.start) // DAY + 1
    base = [0] * days
    shown = [(name, color, {name}) for name, color in _PROVIDERS.items()]
    others = {name for _, name in player.sent.accepted_at} - set(_PROVIDERS)
    for provider, color, called in [*shown, (f"{len(others)} others", _OTHERS, others)]:
        counted = _per_day(world.start, [at for at, name in player.sent.accepted_at if name in called], days)
        if any(counted):
            axes.bar(range(days), counted, 0.86, bottom=base, color=color, label=provider)
            base = [low + high for low, high in zip(base, counted, strict=True)]
    refused = _per_day(world.start, player.sent.refused_at, days)
    axes.bar(range(days), [-count for count in refused], 0.86, color=_REFUSED, label="refused forgeries")
    reminded = _per_day(world.start, [at for at, _ in player.reminders], days)
    twin = axes.twinx()
    twin.plot(range(days), list(accumulate(reminded)), color=_INK, linewidth=1.4, label="reminders sent, total (right)")
    twin.set_ylim(bottom=0)
    twin.spines["right"].set_visible(True)
    axes.axhline(0, color=_FAINT, linewidth=0.8)
    axes.axvspan(world.scale.days, days, color="#f3f4f6", zorder=0)
    height = max(base) * 1.06
    axes.text(
        days - 1,
        height * 0.3,  # under the reminders, which are nearly all sent by then
        "no new payments:\nwarnings, disputes and\ndeadlines run on",
        va="center",
        ha="right",
        color="#6b7280",
    )
    if player.trained_at is not None:
        day = (player.trained_at - world.start) / DAY
        axes.axvline(day, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(day + 0.4, height, "model trained; it decides from here", va="top", color=_INK)
    axes.set_xlim(-0.8, days - 0.2)
    axes.set_ylim(top=height * 1.02)
    axes.set_title("Deliveries acknowledged per virtual day")
    axes.set_xlabel(f"day since {world.start:%Y-%m-%d}")
    lines, labels = axes.get_legend_handles_labels()
    more, named = twin.get_legend_handles_labels()
    # In one row above the picture's edge: in two it would lie over the label of the training.
    axes.legend(
        lines + more,
        labels + named,
        frameon=False,
        ncols=len(labels + named),
        loc="lower right",
        bbox_to_anchor=(1.01, 1),
    )


def _per_day(start: datetime, instants: list[datetime], days: int) -> list[int]:
    counted = Counter((at - start) // DAY for at in instants)
    return [counted[day] for day in range(days)]


def _ranking(axes: Any, report: Report) -> None:
    axes.set_title("Precision and recall of the score")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    quality = report.quality
    if quality is None:
        axes.text(0.5, 0.5, "nothing was scored", ha="center", color="#6b7280")
        return
    recall, precision = _curve(report.judged)
    axes.step(recall, precision, where="post", color=_PROVIDERS["stripe"], linewidth=2)
    axes.fill_between(recall, precision, step="post", color=_PROVIDERS["stripe"], alpha=0.10)
    axes.axhline(quality.prior, color=_FAINT, linestyle=(0, (4, 3)), linewidth=1)
    axes.text(0.01, quality.prior + 0.015, f"guessing: {quality.prior:.2f}", color="#6b7280")
    for flagged, name, color in (
        (quality.stopped, "declined", _REFUSED),
        (quality.caught, "not approved", "#d97706"),
    ):
        axes.plot(flagged.recall, flagged.precision, "o", color=color, markersize=8)
        axes.annotate(
            name,
            (flagged.recall, flagged.precision),
            (10, -4),
            textcoords="offset points",
            color=color,
            fontweight="bold",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
    axes.text(
        0.99,
        0.99,
        f"AP {quality.ap:.2f} ({quality.ap_between[0]:.2f} to {quality.ap_between[1]:.2f})",
        ha="right",
        va="top",
        fontsize=15,
        fontweight="bold",
        transform=axes.transAxes,
    )


def _curve(judged: list[Judged]) -> tuple[list[float], list[float]]:
    """Points where the score changes, ties taken together."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(
        [one.fraud is not None for one in judged], [one.score for one in judged]
    )
    return list(recall[::-1]), list(precision[::-1])


def _disputes(axes: Any, report: Report) -> None:
    axes.set_title(f"{sum(report.disputes.values())} disputes, {report.missed} deadlines missed")
    answers = report.answers
    who = [one for one in ("fought", "accepted", "by people", "nobody") if any(by == one for by, _ in answers.outcomes)]
    left = [0] * len(who)
    for status, color in _STATUS.items():
        counts = [answers.outcomes[one, status] for one in who]
        if any(counts):
            bars = axes.barh(who, counts, 0.55, left=left, color=color, label=status.replace("_", " "))
            axes.bar_label(
                bars, [str(count) if count > 2 else "" for count in counts], label_type="center", color="white"
            )
            left = [low + high for low, high in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    parked = f"{answers.parked.total()} parked for people, " if answers.parked else ""
    won = textwrap.fill(f"won back by the platform: {amounts(answers.won) or 'nothing'}", 62)
    axes.set_xlabel(f"{parked}{report.doubled} answers sent twice\n{won}")
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.2 - 0.06 * won.count("\n") - 0.06))


def _speed(axes: Any, player: Player, report: Report) -> None:
    median, most = (seconds * 1000 for seconds in report.acknowledged)
    millis = sorted(seconds * 1000 for seconds in player.sent.seconds)
    limit = max(most * 1.25, 1.0)
    axes.hist([min(one, limit) for one in millis], bins=60, range=(0, limit), color="#94a3b8")
    for value, name in ((median, "p50"), (most, "p99")):
        axes.axvline(value, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
        side = "left" if value < limit / 2 else "right"
        axes.text(value, axes.get_ylim()[1], f" {name} {value:.0f} ms ", va="top", ha=side)
    axes.set_title("Time to acknowledge a delivery")
    axes.set_xlabel("milliseconds, as the provider sees it")
    axes.set_ylabel("deliveries")
