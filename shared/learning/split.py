"""Train on the past, calibrate on what came after, test on the latest: never shuffled."""

from dataclasses import dataclass

from shared.learning.data_set import Table

MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Slices:
    """later: calibrate and test, which is all that the forest of `train` has not seen, the gap apart."""

    train: Table
    calibrate: Table
    test: Table
    later: Table


def time_split(whole: Table, train_part: float, calibrate_part: float, gap_days: float) -> Slices:
    """Slices of `whole`, which is in order of time. Payments of the same instant are on one side.

    The last `gap_days` before calibration are left out of training, so that one wave of fraud is not on both sides.
    """
    at = whole.at
    last = len(at) - 1
    calibrate_from = at[min(int(len(at) * train_part), last)]
    test_from = at[min(int(len(at) * (train_part + calibrate_part)), last)]
    return Slices(
        train=whole.part(at < calibrate_from - int(gap_days * MICROSECONDS_A_DAY)),
        calibrate=whole.part((at >= calibrate_from) & (at < test_from)),
        test=whole.part(at >= test_from),
        later=whole.part(at >= calibrate_from),
    )
