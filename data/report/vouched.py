"""What those who have a list of keys and persons say of a run file and of its signatures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a file is worth to a bench that knows keys, persons and a register.

    Attributes
    ----------
    state : as `data.seal.Verification` has it, or "unregistered".
    problems : what is wrong with the record, then what is wrong with who vouches for it.
    worth : of each signature why it is not proven; empty text where it is.
    """

    state: str
    problems: tuple[str, ...] = ()
    worth: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the record is what was sealed."""
        return self.state in ("intact", "rewritten")
