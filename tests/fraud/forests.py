"""Forests to walk: fitted on noise with gaps, so that every kind of split occurs."""

import hashlib
from functools import cache

import numpy as np

from shared.fraud import model
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.model import Model
from shared.learning.data_set import Table
from shared.learning.export import export
from shared.learning.fit import Fitted, calibration, fit
from shared.learning.request import TrainingRequest

THRESHOLDS = {"challenge": 0.1, "review": 0.4, "decline": 0.8}


def noise(rows: int, columns: tuple[str, ...], seed: int = 0) -> Table:
    """Numbers of several shapes, a fifth of them missing, and fraud that depends on some, also on what is missing."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(rows, len(columns))) * 10.0 ** chance.integers(-2, 5, size=len(columns))
    values[:, ::3] = np.round(values[:, ::3])
    values[chance.random(values.shape) < 0.2] = np.nan
    values[:, 2] = np.where(np.isnan(values[:, 2]), np.nan, 1.0)  # only whether it is there says anything
    values[:, 3] = np.nan
    odds = np.nan_to_num(values[:, 1] / np.nanstd(values[:, 1])) + 2 * np.isnan(values[:, 2])
    odds += np.nan_to_num(values[:, 5] > np.nanquantile(values[:, 5], 0.97)) * 4
    fraud = chance.random(rows) < 1 / (1 + np.exp(3 - odds))
    return Table(columns, values, fraud, np.arange(rows, dtype=np.int64), np.ones(rows))


@cache
def fitted(columns: tuple[str, ...], rows: int = 6000, iterations: int = 200, leaves: int = 8) -> Fitted:
    return fit(noise(rows, columns), columns[:8], TrainingRequest(iterations=iterations, leaves=leaves))


def artifact(
    columns: tuple[str, ...],
    forest: Fitted,
    schema_version: str = SCHEMA_VERSION,
    share: float = 1.0,
    later: Table | None = None,
) -> bytes:
    later = noise(3000, columns, seed=1) if later is None else later
    return export(
        forest,
        later,
        form=model.FORMAT,
        schema_version=schema_version,
        calibration=calibration(forest.raw(later.values), later.fraud, later.weight, share),
        thresholds=THRESHOLDS,
        learning={},
    )


def loaded(columns: tuple[str, ...], forest: Fitted) -> Model:
    data = artifact(columns, forest)
    return model.load(data, hashlib.sha256(data).hexdigest())
