"""A model card as a page that a browser shows without asking anybody for anything: pictures are inside."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from shared.learning.card import Card, Importance, Part
from shared.learning.compare import Interval

WIDTH, HEIGHT = 560, 320
LEFT, BOTTOM = 60, 40
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #dde3ea}
td:first-child,th:first-child{text-align:left}code{font-size:.85em}svg{background:#f7f9fb}svg text{font:12px system-ui,sans-serif}"""


def page(card: Card) -> str:
    """The page in HTML; every text of the card is escaped."""
    quality = card.quality
    body = [
        f"<h1>Fraud model <code>{escape(card.model[:12])}</code></h1>",
        f"<p>{escape(card.library)}, features <code>{escape(card.schema_version)}</code>, "
        f"digest <code>{escape(card.model)}</code>.</p>",
        "<p>All figures are of the test payments, which are later than all that this model has learned from. Ranges hold 95 "
        "of 100 draws of whole hours. The model that decides has learned the same way from these payments too.</p>",
        "<h2>Data</h2>",
        _table(
            ("slice", "from", "to", "rows", "frauds"),
            (
                (name, _day(told["from"]), _day(told["to"]), f"{told['rows']:,}", f"{told['frauds']:,}")
                for name, told in card.period.items()
            ),
        ),
        "<h2>Quality</h2>",
        _table(
            ("measure", "value"),
            (
                ("payments that the test rows stand for", f"{quality.payments:,}"),
                ("part that is fraud", f"{quality.prior:.3%}"),
                ("average precision", _range(card.precision, "{:.3f}")),
                ("area under the curve", f"{quality.roc_auc:.3f}"),
                ("fraud caught at 1 % of genuine payments hindered", f"{quality.recall_at_1_percent_false:.1%}"),
                ("times the prior among the riskiest hundredth", f"{quality.lift_at_1_percent:.1f}"),
                ("Brier score", f"{quality.brier:.5f}"),
            ),
        ),
        _table(
            ("from this score on", "score", "part of payments", "fraud among them", "part of fraud"),
            (
                (
                    name,
                    f"{reached.threshold:.4f}",
                    f"{reached.part:.2%}",
                    "none there" if reached.precision is None else f"{reached.precision:.1%}",
                    f"{reached.recall:.1%}",
                )
                for name, reached in quality.outcomes.items()
            ),
        ),
        "<h2>Do its probabilities come true?</h2>",
        _calibration(card.calibration),
        "<h2>What it looks at</h2>",
        _bars(card.importance),
    ]
    for dimension, parts in card.parts.items():
        body += [f"<h2>By {escape(dimension)}</h2>", _parts(parts)]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Fraud model {escape(card.model[:12])}</title><style>{_STYLE}</style><body>{''.join(body)}</body></html>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{lines}</table>"


def _parts(parts: Sequence[Part]) -> str:
    head = (
        "",
        "payments",
        "frauds",
        "part that the scores expect",
        "part that was fraud",
        "fraud caught from review on",
    )
    return _table(
        head,
        (
            (
                part.name,
                f"{part.payments:,}",
                f"{part.frauds:,}",
                f"{part.expected:.3%}",
                _range(part.observed, "{:.3%}"),
                "no fraud" if part.caught is None else _range(part.caught, "{:.1%}"),
            )
            for part in parts
        ),
    )


def _range(interval: Interval, form: str) -> str:
    low, middle, high = (form.format(value) for value in (interval.low, interval.estimate, interval.high))
    return f"{middle} ({low} to {high})"


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d")


def _calibration(parts: Sequence[Part]) -> str:
    """Expected against observed, both by powers of ten, with ranges; on the line what is said is what happens."""
    told = [part for part in parts if part.expected > 0]
    seen = [value for part in told for value in (part.expected, part.observed.low, part.observed.high) if value > 0]
    floor = math.floor(math.log10(min(seen, default=0.1)))

    def along(value: float) -> float:
        return LEFT + (max(math.log10(value), floor) - floor) / -floor * (WIDTH - LEFT - 20) if value > 0 else LEFT

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (along(value) - LEFT) / (WIDTH - LEFT - 20) * (HEIGHT - BOTTOM - 20)

    drawn = [_line(along(10.0**floor), up(10.0**floor), along(1.0), up(1.0), "#9aa7b4", "4 4")]
    for power in range(floor, 1):
        value = 10.0**power
        drawn += [
            f'<text x="{along(value):.1f}" y="{HEIGHT - 18}" text-anchor="middle">{100 * value:g} %</text>',
            f'<text x="{LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{100 * value:g} %</text>',
        ]
    for part in told:
        x = along(part.expected)
        drawn += [
            _line(x, up(part.observed.low), x, up(part.observed.high), "#5b8def"),
            f'<circle cx="{x:.1f}" cy="{up(part.observed.estimate):.1f}" r="4" fill="#1f5fd0"><title>{escape(part.name)}: '
            f"{part.frauds} frauds</title></circle>",
        ]
    drawn.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">expected; upwards: observed</text>')
    return _picture(HEIGHT, drawn, "Expected part of fraud against the observed one")


def _bars(importance: Sequence[Importance]) -> str:
    longest = max((one.share for one in importance), default=1.0)
    drawn = []
    for place, one in enumerate(importance):
        y, long = 8 + place * 20, one.share / longest * (WIDTH - 300)
        drawn += [
            f'<text x="232" y="{y + 12}" text-anchor="end">{escape(one.feature)}</text>',
            f'<rect x="240" y="{y}" width="{long:.1f}" height="15" fill="#5b8def"/>',
            f'<text x="{246 + long:.1f}" y="{y + 12}">{one.share:.1%}</text>',
        ]
    return _picture(16 + 20 * len(importance), drawn, "Features by what splits on them gained")


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "none") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _picture(height: int, drawn: Sequence[str], what: str) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(what)}" {size}>{"".join(drawn)}</svg>'
    )
