"""What drivers of syringe pumps have in common: settings, limits, a start that is said once, a halt until it stands."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from data.quantity_fields import FlowUlPerH, LengthMm, TimeS, VolumeUl
from data.samples import Channel
from instruments.capabilities import Confirmation, SyringeState
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
    Settings,
)
from instruments.visa import VisaInstrument, VisaSettings

TOLERANCE = 0.001
"""Largest relative difference between a rate or volume that was asked for and what the pump holds."""

HALTING_S = 3.0
"""How long a halt is tried before it is given up."""

_AGAIN_S = 0.05

Verb = Literal["infuse", "withdraw"]


class SyringePumpSettings(VisaSettings):
    """Settings of a pump and of the syringe in it."""

    diameter_mm: LengthMm = Field(alias="diameter", ge=0.1, le=80.0, description="inner diameter of the syringe")
    volume_ul: VolumeUl = Field(alias="volume", gt=0.0, description="what the syringe holds")
    max_rate_ul_per_h: FlowUlPerH = Field(alias="max_rate", gt=0.0, description="fastest rate that is allowed")
    direction: Literal["both", "infuse", "withdraw"] = Field("both", description="what is allowed")
    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="how often counts and state are asked for")


class PolledSyringePump(VisaInstrument, Polled):
    """A pump that is asked for its counts; meets `instruments.capabilities.SyringePump` but for ``clear_counts``."""

    settings: SyringePumpSettings

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.max_rate_ul_per_h = self.settings.max_rate_ul_per_h
        self._halts = 0  # so that a start that is under way sees a halt
        self._settled = False  # what `_settle` sets is as it was set

    def _channels(self, status: str, alarm: str, *, has_checksum: bool) -> tuple[Channel, ...]:
        """Its channels; without a checksum, what advanced faster than any rate that is allowed is asked again."""
        most_ul = None if has_checksum else 2.0 * self.settings.max_rate_ul_per_h / 3600.0 * self.settings.period_s
        return (
            Channel("infused", "uL", description="volume infused by the pump's count", max_step=most_ul),
            Channel("withdrawn", "uL", description="volume withdrawn by the pump's count", max_step=most_ul),
            Channel("status", "1", description=status),
            Channel("alarm", "1", description=alarm),
        )

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    # -- what a driver gives

    halt_looks = 2
    """How often in a row it must say that it stands: where there is no checksum, a bit may lie."""

    @abstractmethod
    def syringe_state(self) -> SyringeState:
        """Motion, counts in uL and the alarm that stands."""

    @abstractmethod
    def _insist_on_digits(self, rate_ul_per_h: float, volume_ul: float | None) -> None:
        """Raise InstrumentRefusal where the pump cannot be told rate and volume within `TOLERANCE`."""

    @abstractmethod
    def _stands(self) -> bool:
        """Whether the motor is stopped, for sure."""

    @abstractmethod
    def _settle(self) -> None:
        """Set the syringe and what else a start relies on, unless that was done."""

    @abstractmethod
    def _run(self, verb: Verb, rate_ul_per_h: float, volume_ul: float | None, halts: int) -> str:
        """Set rate and volume, start, and see that it was executed; returns what the pump does then."""

    @abstractmethod
    def _stop(self) -> bool:
        """Order the motor to stop and ask once whether it stands."""

    # -- what it is told

    def probe(self) -> list[str]:
        """What keeps it from a run."""
        state = self.syringe_state()
        problems = [] if state.running == "stopped" else [f"it is {state.running}; halt it"]
        return [*problems, f"it reports the alarm {state.alarm}"] if state.alarm else problems

    def infuse(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        """Push at a rate, for a volume or until it is halted.

        The reply of the confirmation states rate and volume as set.  Raises InstrumentRefusal, before anything is sent,
        when the station does not allow it or the pump's digits cannot say it; also when the pump is running, refuses,
        is halted meanwhile or stops at once.  After any other error it may be running: halt it.
        """
        return self._drive("infuse", rate_ul_per_h, volume_ul)

    def withdraw(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        """Draw at a rate, for a volume or until it is halted; raises as `infuse`."""
        return self._drive("withdraw", rate_ul_per_h, volume_ul)

    def halt(self) -> Confirmation:
        """Stop the motor; returns once the pump says that it stands.  A start that is under way is refused."""
        self._halts += 1
        issued_s = self.clock.now()
        try:
            self._insist_on_stop(issued_s + HALTING_S)
        finally:
            self._halts += 1
        try:
            state = self.syringe_state()
            said = f"stands; {state.infused_ul:.6g} uL infused, {state.withdrawn_ul:.6g} uL withdrawn"
        except InstrumentError as error:
            said = f"stands; counts not read: {error}"
        return Confirmation("halt", said, issued_s, self.clock.now())

    def make_safe(self) -> str:
        """Stop the motor; raises when the pump does not confirm that it stands."""
        return f"the syringe {self.halt().reply}"

    def _insist_on_stop(self, until: float) -> None:
        stood = 0
        while stood < self.halt_looks:
            try:
                stood = stood + 1 if self._stop() else 0
            except InstrumentError:
                stood = 0
                if self.clock.now() >= until:
                    raise
                self.clock.sleep(_AGAIN_S)
            else:
                if not stood and self.clock.now() >= until:
                    raise InstrumentReplyError(self.name, "was told to stop and does not say that it stands")

    # -- starting

    def _drive(self, verb: Verb, rate_ul_per_h: float, volume_ul: float | None) -> Confirmation:
        self._insist_on_limits(verb, rate_ul_per_h, volume_ul)
        self._insist_on_digits(rate_ul_per_h, volume_ul)
        issued_s, halts = self.clock.now(), self._halts
        self._insist_on_standing()
        self._settle()
        said = self._run(verb, rate_ul_per_h, volume_ul, halts)
        asked = "until halted" if volume_ul is None else f"{volume_ul:.9g} uL"
        return Confirmation(f"{verb} {rate_ul_per_h:.9g} uL/h, {asked}", said, issued_s, self.clock.now())

    def _insist_on_standing(self) -> None:
        if not self._stands():
            raise InstrumentRefusal(self.name, "is running; halt it first")

    def _insist_on_limits(self, verb: Verb, rate_ul_per_h: float, volume_ul: float | None) -> None:
        if self.settings.direction not in ("both", verb):
            raise InstrumentRefusal(self.name, f"may only {self.settings.direction} on this station")
        if not 0.0 < rate_ul_per_h <= self.max_rate_ul_per_h:
            most = f"{self.max_rate_ul_per_h:.6g} uL/h"
            raise InstrumentRefusal(self.name, f"{rate_ul_per_h:.6g} uL/h: the rate is above 0 and at most {most}")
        if volume_ul is not None and not 0.0 < volume_ul <= self.settings.volume_ul:
            most = f"that of the syringe, {self.settings.volume_ul:.6g} uL"
            raise InstrumentRefusal(self.name, f"{volume_ul:.6g} uL: the volume is above 0 and at most {most}")

    def _insist_on_no_halt(self, halts: int) -> None:
        """Raise InstrumentRefusal where it was halted since their number was ``halts``."""
        if self._halts != halts:
            raise InstrumentRefusal(self.name, "was halted before it started")

    def _said_once(self, start: bytes, interpret: Callable[[bytes], object]) -> InstrumentError | None:
        """Say what lets the motor turn, once; returns what is wrong with the reply, None for a good one."""
        try:
            self._command(start, interpret)
        except InstrumentRefusal:
            raise
        except (InstrumentTimeout, InstrumentReplyError) as error:
            return error
        return None
