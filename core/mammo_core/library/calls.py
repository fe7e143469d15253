"""What a reader's call must be before it is kept.

Knows nothing of the database.
"""

from collections.abc import Set

from mammo_core.errors import InputError
from mammo_core.library.values import SUSPICION, BreastCall, Call

MAX_NOTE = 4000
"""Characters in a note."""


def check_call(call: Call, *, ai_shown: bool, owed: Set[str] = frozenset()) -> None:
    """Raise InputError for an empty call, a suspicion off the scale, a note too long, or agreement with nothing.

    Agreement is with an AI that was on screen: ``ai_shown`` False means that it was hidden or that there is none.
    ``owed`` are the breasts ("R", "L") that must be called together, because the call uncovers the AI of both.
    """
    if call.right is None and call.left is None:
        raise InputError("call", "choose recall or no recall for at least one breast")
    called = {side for side, breast in (("R", call.right), ("L", call.left)) if breast is not None}
    if owed - called:
        sides = " and the ".join(name for side, name in (("R", "right"), ("L", "left")) if side in owed - called)
        reason = f"the {sides} breast is not called; while the AI is hidden, call every breast that has images"
        raise InputError("call", reason)
    for side, breast in (("right", call.right), ("left", call.left)):
        _check_suspicion(side, breast)
    if call.agreement and not ai_shown:
        raise InputError("agreement", "there is no AI result on screen to agree or disagree with")
    if len(call.note) > MAX_NOTE:
        raise InputError("note", f"has {len(call.note)} characters; at most {MAX_NOTE} are kept")


def _check_suspicion(side: str, breast: BreastCall | None) -> None:
    if breast is not None and breast.suspicion is not None and breast.suspicion not in SUSPICION:
        raise InputError(f"suspicion, {side} breast", f"{breast.suspicion} is not between 1 and 5")
