"""One controls, by name, for as long as it says that it is there."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bench.rpc.lease import EXPIRES_S, Lease

PEOPLE = st.sampled_from(["Ada", "Ben"])


class Leases(RuleBasedStateMachine):
    """Clients come, renew, go silent and come back with old leases, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lease = Lease()
        self.now = 0.0
        self.given: list[str] = []
        self.current: tuple[str, str, float] | None = None  # secret, person, until

    def holds(self) -> bool:
        return self.current is not None and self.now < self.current[2]

    @rule(person=PEOPLE, take_over=st.booleans())
    def acquire(self, person: str, take_over: bool) -> None:
        may = take_over or not self.holds()
        grant = self.lease.acquire(person, self.now, take_over=take_over)
        assert grant.granted == may
        if may:
            assert grant.lease not in self.given
            self.given.append(grant.lease)
            self.current = (grant.lease, person, self.now + EXPIRES_S)
        else:
            assert self.current is not None
            assert self.current[1] in grant.sentence

    @rule(which=st.integers(0, 5), release=st.booleans())
    def renew_or_release(self, which: int, release: bool) -> None:
        secret = self.given[-1 - which] if which < len(self.given) else "made up"
        may = self.holds() and self.current is not None and secret == self.current[0]
        grant = (self.lease.release if release else self.lease.renew)(secret, self.now)
        assert grant.granted == may
        assert bool(grant.sentence) != may
        if may and self.current is not None:
            self.current = None if release else (secret, self.current[1], self.now + EXPIRES_S)

    @rule(seconds=st.sampled_from([0.5, EXPIRES_S / 2, EXPIRES_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def only_the_last_lease_that_lives_is_obeyed(self) -> None:
        obeyed = [secret for secret in self.given if not self.lease.refusal(secret, self.now)]
        expected = [self.current[0]] if self.current is not None and self.holds() else []
        assert obeyed == expected
        assert self.lease.holder(self.now) == (self.current[1] if expected and self.current else "")


TestLease = Leases.TestCase


def test_a_lease_names_a_person() -> None:
    grant = Lease().acquire("  ", 0.0)
    assert not grant.granted
    assert "say who you are" in grant.sentence
