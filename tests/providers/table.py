"""`make providers`: what each adapter verifies and follows, out of the adapters themselves. `--write`: into the README."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared import providers
from shared.providers.kit.protocol import Traits

README = Path(__file__).resolve().parents[2] / "README.md"
BEGINS, ENDS = "<!-- providers -->\n", "<!-- /providers -->\n"
COLUMNS = (
    "provider",
    "proved by",
    "replay",
    "rotation",
    "2xx within, repeated for",
    "payments",
    "refunds",
    "disputes",
    "fraud warnings",
    "deadline",
    "answered by",
    "verified again",
    "read back",
    "gaps found in",
    "tells what it sends us",
)
NONE = "–"
# Why nothing of theirs is listed: as far as public pages say.
UNLISTED = {
    "adyen": "reports only",
    "braintree": "search of objects, which does not tell which notification there was",
    "checkout": "events of one payment at a time, by its id",
    "dlocal": "one object at a time, by its id",
    "google": "voided purchases only, without their notifications",
    "klarna": "one order at a time, by its id",
    "razorpay": "objects, while an event's id is of its delivery's bytes",
    "worldpay": "queries of payments, which do not tell which event there was",
}


def row(name: str, traits: Traits) -> tuple[str, ...]:
    within = f"{traits.ack_seconds} s" if traits.ack_seconds else NONE
    repeated = f"{traits.retry_days:g} d" if traits.retry_days else NONE
    counted = (traits.payments, traits.refunds, traits.disputes, traits.warnings)
    return (
        name,
        traits.scheme,
        traits.replay,
        traits.rotation,
        f"{within}, {repeated}",
        *(str(len(types)) if types else NONE for types in counted),
        traits.deadline or NONE,
        traits.response_api or NONE,
        traits.verified_again,
        "yes" if traits.fetch_back else NONE,
        listed(name),
        getattr(providers.load_endpoint(name), "TOLD_BY", NONE),
    )


def listed(name: str) -> str:
    """Its lists that ours are held against, by hand among them; what there is instead where there is none."""
    lister = providers.load_listing(name)
    if lister is None:
        return f"nothing: {UNLISTED[name]}"
    return ", ".join(f"{one.name}{' (by hand)' if one.by_hand else ''}" for one in lister.STREAMS)


def rows() -> list[tuple[str, ...]]:
    return [row(name, providers.load(name).TRAITS) for name in providers.names()]


def markdown() -> str:
    lines = (COLUMNS, ("---",) * len(COLUMNS), *rows())
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def written(readme: str) -> str:
    """The table as it stands in `readme`."""
    return readme.partition(BEGINS)[2].partition(ENDS)[0]


def show(console: Console) -> None:
    """A list for each provider: twelve columns fit no terminal, and the README has them side by side."""
    for name, *rest in rows():
        listed = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        listed.add_column(no_wrap=True)
        listed.add_column(overflow="fold")
        for column, told in zip(COLUMNS[1:], rest, strict=True):
            listed.add_row(f"  {column}", told)
        console.print(f"[bold]{name}[/bold]", listed, sep="\n")


def main(arguments: list[str]) -> None:
    if arguments == ["--write"]:
        readme = README.read_text()
        before, _, rest = readme.partition(BEGINS)
        README.write_text(before + BEGINS + markdown() + ENDS + rest.partition(ENDS)[2])
        return
    show(Console(highlight=False))


if __name__ == "__main__":
    main(sys.argv[1:])
