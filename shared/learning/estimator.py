"""The trainer's own forest, kept beside the exported trees: scikit-learn scores a table of payments far faster than trees
walked one by one.

Reading it runs whatever its bytes say. So it is opened by training and by scoring of the past alone, never where payments
are decided on, only under the digest that the registry names, and only by the library that wrote it, which the first line
says before anything is run.
"""

import hashlib
import io
import platform

import joblib
import msgspec
import sklearn

from shared.domain.errors import Misconfigured
from shared.learning.fit import Fitted

FORMAT = "payin-estimator-1"


class _Written(msgspec.Struct, frozen=True):
    format: str
    library: str
    python: str


def _here() -> _Written:
    return _Written(FORMAT, f"scikit-learn {sklearn.__version__}", ".".join(platform.python_version_tuple()[:2]))


def dump(fitted: Fitted) -> bytes:
    """`fitted` as bytes: a line that says what wrote it, then joblib's."""
    data = io.BytesIO()
    data.write(msgspec.json.encode(_here()) + b"\n")
    # The library's own object and plain values: no class of ours, which the next release may have moved.
    joblib.dump((fitted.forest, fitted.tails), data)
    return data.getvalue()


def opened(data: bytes, digest: str) -> Fitted:
    """What was dumped. Raises Misconfigured, and runs nothing, when the bytes are not the ones named `digest` (lower-case
    SHA-256), or when another version of Python or of the library wrote them."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Misconfigured(f"estimator {digest[:12]} is damaged: its bytes have another digest", reason="model_digest")
    head, _, body = data.partition(b"\n")
    try:
        written = msgspec.json.decode(head, type=_Written)
    except msgspec.MsgspecError as error:
        raise Misconfigured(f"{digest[:12]} is no estimator: {error}", reason="model_format") from error
    if written != _here():
        raise Misconfigured(
            f"estimator {digest[:12]} was written by {written.library} on Python {written.python}, and this is "
            f"{_here().library} on Python {_here().python}",
            reason="estimator_version",
        )
    return Fitted(*joblib.load(io.BytesIO(body)))
