"""How soon a silence is called, and how often one that is none. Takes some minutes: `python -m tests.benchmarks silence`.

Each profile is a type of a provider; months of it are made with several seeds, sizes among them, on which days differ, clocks
change, and three holidays bring some two thirds of the usual. Looks are at whole hours, as `watch_traffic` has them."""

from datetime import date, timedelta

from tests.benchmarks.silence_worlds import FIRST, HOUR, PROFILES, Outage, Profile, a_world, at, found_after, judged

SEEDS = 5
DAYS, LEARNED = 180, 40
_BILLED = (date(2026, 7, 1) - FIRST).days

OUTAGES = {
    "nothing, from the evening, 24 h": Outage(since=at(101, 18.25), until=at(102, 18.25)),
    "nothing, from the night, 24 h": Outage(since=at(101, 1.25), until=at(102, 1.25)),
    "nothing, billing day's peak, 12 h": Outage(since=at(_BILLED, 6.25), until=at(_BILLED, 18.25)),
    "nothing, 14 days": Outage(since=at(101, 9.25), until=at(115, 9.25)),
    "half, from the morning, 24 h": Outage(since=at(101, 9.25), until=at(102, 9.25), left=0.5),
    "half, billing day, 18 h": Outage(since=at(_BILLED, 5.25), until=at(_BILLED, 23.25), left=0.5),
    "half, 14 days": Outage(since=at(101, 9.25), until=at(115, 9.25), left=0.5),
}


def detection(profile: Profile, outage: Outage) -> str:
    """The middle one of the seeds' times, and in how many it was found at all."""
    every = HOUR if outage.until - outage.since < timedelta(days=3) else 3 * HOUR
    times = [found_after(a_world(profile, 150, seed, outage), outage, every) for seed in range(SEEDS)]
    found = sorted(one / HOUR for one in times if one is not None)
    if not found:
        return "-"
    middle = found[len(found) // 2]
    said = f"{middle:.1f} h" if middle < 48 else f"{middle / 24:.0f} d"
    return said if len(found) == SEEDS else f"{said} ({len(found)} of {SEEDS})"


def false_alarms(profile: Profile) -> tuple[int, float]:
    """How many in months without an outage, and what the evidence was at most. Looks each third hour: what evidence they miss
    in between is still there at the next, but for what an hour takes back."""
    alarms, most = 0, 0.0
    for seed in range(SEEDS):
        world, stands = a_world(profile, DAYS, seed), False
        for look in range(LEARNED * 8, DAYS * 8):
            one = judged(world, at(0, 3 * look))
            most = max(most, one.gone, one.thin)
            alarms += one.calls and not stands
            stands = one.calls or (stands and not one.over)
    return alarms, most


def main() -> None:
    print(f"{len(PROFILES)} profiles, {SEEDS} seeds each; looks each hour\n")
    for name, outage in OUTAGES.items():
        told = ", ".join(f"{profile.name} {detection(profile, outage)}" for profile in PROFILES)
        print(f"{name:<36}{told}", flush=True)
    print(f"\nfalse alarms in {SEEDS} x {DAYS - LEARNED} days, and the evidence at most (12 calls)\n")
    total = 0
    for profile in PROFILES:
        alarms, most = false_alarms(profile)
        total += alarms
        print(f"{profile.name:<12}{profile.daily:>9,.0f} a day{alarms:>4}{most:>7.1f}", flush=True)
    years = len(PROFILES) * SEEDS * (DAYS - LEARNED) / 365
    print(f"\n{total} in {years:.0f} years of a type")


if __name__ == "__main__":
    main()
