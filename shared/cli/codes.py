"""Exit codes, for scripts. 64 and above are those of sysexits.h, as functions that cannot start leave with them too."""

from enum import IntEnum

from shared.domain.errors import Misconfigured, PayInError, Unavailable


class Code(IntEnum):
    DONE = 0
    BROKEN = 1  # a fault of ours, with a traceback
    USAGE = 2  # the command line does not fit
    NOTHING = 3  # nothing has that name
    SEVERAL = 4  # several things have that name: they are listed, and none was chosen
    NOT_AGREED = 5  # a change was asked about, and nobody agreed: nothing was changed
    REFUSED = 65  # what was asked for does not fit what is there
    UNAVAILABLE = 75  # time's turn: try again
    MISCONFIGURED = 78  # a setting is missing or wrong


TOLD = {
    Code.DONE: "done",
    Code.BROKEN: "a fault of ours, with a traceback",
    Code.USAGE: "the command line does not fit",
    Code.NOTHING: "nothing has that name",
    Code.SEVERAL: "several things have that name",
    Code.NOT_AGREED: "nobody agreed to the change",
    Code.REFUSED: "what was asked for does not fit what is there",
    Code.UNAVAILABLE: "something is down: try again",
    Code.MISCONFIGURED: "a setting is missing or wrong",
}


class NotFound(PayInError):
    """Nothing has the name that was given."""

    reason = "not_found"


class Several(PayInError):
    """More than one thing has the name that was given."""

    reason = "ambiguous"


class NotAgreed(PayInError):
    """Nobody agreed to a change."""

    reason = "not_agreed"


def code_of(error: PayInError) -> Code:
    match error:
        case NotFound():
            return Code.NOTHING
        case Several():
            return Code.SEVERAL
        case NotAgreed():
            return Code.NOT_AGREED
        case Unavailable():
            return Code.UNAVAILABLE
        case Misconfigured():
            return Code.MISCONFIGURED
        case _:
            return Code.REFUSED
