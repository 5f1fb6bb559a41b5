"""What `train_model` may be asked: to train, where everything has a default that suits a real shop, and a few things more."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from shared.domain.errors import Rejected

Days = Annotated[float, msgspec.Meta(ge=0, le=4000)]
Part = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class TrainingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """history_days: how far back payments are read. burn_in_days: of these, how many of the first give history to others
    and are not learned from; a payment before them looks new in every window that reaches back further. complete: the part of fraud that is
    known of payments of an age at which no news means "not fraud", out of how long frauds took to be known; watched_days:
    by when all of it is, for who claims has some 120 days. maturity_days: that age itself, as long as too few frauds are of
    payments older than watched_days; most claims come within 60. gap_days: left out between training and the rest, so
    that one wave of fraud is not on both sides. train_part, calibrate_part: of the payments in time order; the rest
    tests. max_rows: genuine payments are thinned out above it, and frauds above as many. least_frauds: needed for training, and
    least_frauds_held_out in each later slice, least_frauds_compared to tell a model from the champion; least_lift: times
    the prior that the low end of its average precision must reach. least_leaf: payments in a leaf; None: by the number of frauds.
    split_part: the part of the features among which each split chooses, drawn anew for each; l2: how strongly small leaves are
    drawn towards saying nothing.
    stale_days: how long one champion may decide before that alarms. as_challenger: what passes is asked beside the champion
    first, and decides when an operator promotes it. challenge_capacity, review_capacity: the largest part of payments that may be challenged, reviewed.
    """

    history_days: Days = 400
    burn_in_days: Days = 30
    complete: Part = 0.95
    watched_days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 120
    maturity_days: Days = 60
    gap_days: Days = 7
    train_part: Part = 0.6
    calibrate_part: Part = 0.2
    max_rows: Count = 100_000
    least_frauds: Count = 30
    least_frauds_held_out: Count = 20
    least_frauds_compared: Count = 50
    least_lift: Annotated[float, msgspec.Meta(gt=0, le=100)] = 2.0
    iterations: Count = 200
    learning_rate: Part = 0.05
    leaves: Annotated[int, msgspec.Meta(ge=2, le=255)] = 8
    least_leaf: Count | None = None
    split_part: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2
    l2: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 20.0
    challenge_capacity: Part = 0.10
    review_capacity: Part = 0.02
    stale_days: Days = 14
    as_challenger: bool = False
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        if self.train_part + self.calibrate_part >= 1:
            raise ValueError("train_part and calibrate_part leave nothing to test on")


class RollBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """roll_back: the digest of the champion that shall decide no more. A repeat finds another one, and does nothing."""

    roll_back: Digest


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """pin: the digest of the champion that shall stay, whatever training finds."""

    pin: Digest


class Unpin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """unpin: the digest of the pinned champion that a better one may follow again."""

    unpin: Digest


class Promote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """promote: the digest of the challenger that shall be the champion. A repeat finds it there, and does nothing."""

    promote: Digest


class GiveShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """canary: the digest of the challenger that shall decide for a `share` of the customers; 0 ends it."""

    canary: Digest
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Dismiss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """dismiss: the digest of the challenger that shall be asked no more. A repeat finds none, and does nothing."""

    dismiss: Digest


class Compare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """compare: the digest of the challenger to show beside the champion, on payments of the last `days` that are at least
    `mature_days` old and of which both were asked."""

    compare: Digest
    days: Annotated[float, msgspec.Meta(gt=0, le=400)] = 90
    mature_days: Days = 30


class Recompute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """recompute: how many of the newest stored decisions, of payments of the last `days`, to compute again."""

    recompute: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    days: Annotated[float, msgspec.Meta(gt=0, le=400)] = 7


Asked = TrainingRequest | RollBack | Pin | Unpin | Promote | GiveShare | Dismiss | Compare | Recompute

# The member that each of the others cannot be without.
_NAMED: Mapping[str, type[Asked]] = {
    "roll_back": RollBack,
    "pin": Pin,
    "unpin": Unpin,
    "promote": Promote,
    "canary": GiveShare,
    "dismiss": Dismiss,
    "compare": Compare,
    "recompute": Recompute,
}


def read(parameters: bytes) -> Asked:
    """The request in a tick's JSON; empty means training with the defaults. Raises Rejected, naming the member that
    does not fit."""
    try:
        asked = msgspec.json.decode(parameters or b"{}", type=dict[str, Any])
        kind = next((of for name, of in _NAMED.items() if name in asked), TrainingRequest)
        return msgspec.convert(asked, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a training request: {error}", reason="bad_training_request") from error
