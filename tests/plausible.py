"""Values of our types, as hypothesis makes them, with what no type says: instants are aware, amounts plausible, numbers finite."""

from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import strategies as st

from shared.domain.events import KIND_OF
from shared.domain.money import Money

st.register_type_strategy(
    Money, st.builds(Money, st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
)
st.register_type_strategy(datetime, st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))

T = TypeVar("T")


def any_of(of: type[T]) -> st.SearchStrategy[T]:
    return st.from_type(of)


EVENTS = st.one_of(*(any_of(cls) for cls in KIND_OF))
