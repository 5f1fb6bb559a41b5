"""The trainer's own estimator is what the exported trees are, and nobody opens other bytes than those that were kept."""

import hashlib
import os
from pathlib import Path

import joblib
import numpy as np
import pytest

from shared.domain.errors import Misconfigured
from shared.learning import estimator
from tests.fraud.forests import fitted, loaded, noise

COLUMNS = tuple(f"f{index}" for index in range(12))


class Evil:
    """What pickle runs when it reads this."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.file),)


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_it_gives_the_numbers_of_the_exported_trees_to_the_bit() -> None:
    forest = fitted(COLUMNS, iterations=40)
    data = estimator.dump(forest)
    again = estimator.opened(data, digest_of(data))
    rows = noise(500, COLUMNS, seed=5).values
    walker = loaded(COLUMNS, forest)
    walked = [walker.score([None if np.isnan(value) else value for value in row]).raw for row in rows.tolist()]
    assert again.raw(rows).tolist() == walked
    assert again.tails == forest.tails


def test_other_bytes_under_its_name_are_not_run(tmp_path: Path) -> None:
    data = estimator.dump(fitted(COLUMNS, iterations=3))
    head = data.partition(b"\n")[0]
    joblib.dump(Evil(tmp_path / "was_run"), tmp_path / "evil")
    evil = head + b"\n" + (tmp_path / "evil").read_bytes()
    for wrong, named, reason in (
        (evil, digest_of(data), "model_digest"),
        (evil.partition(b"\n")[2], digest_of(evil.partition(b"\n")[2]), "model_format"),
        (
            evil.replace(b"scikit-learn ", b"scikit-learn 9", 1),
            digest_of(evil.replace(b"scikit-learn ", b"scikit-learn 9", 1)),
            "estimator_version",
        ),
    ):
        with pytest.raises(Misconfigured) as refusal:
            estimator.opened(wrong, named)
        assert refusal.value.reason == reason
    assert not (tmp_path / "was_run").exists()
