"""The occlusion alarm of a pump that has one: it sounds while the outlet pressure is too high for its motor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.simulation.grid import CHUNK, Timeline, time_of
from instruments.simulation.signal import FloatArray

SILENT_SHARE = 0.8
"""It falls silent below this share of the pressure at which it sounds."""


@dataclass(frozen=True, slots=True)
class AlarmState:
    """Whether it sounds, and when it began to, each time, in s."""

    sounds: bool = False
    onsets_s: tuple[float, ...] = ()


SILENT = AlarmState()


class OcclusionAlarm:
    """A pump feels the pressure by the load of its motor, so it hears nothing while it stands.

    Parameters
    ----------
    level_kpa : outlet pressure at which it sounds; 0 for a pump without this alarm.
    is_broken : 1 from when it no longer sounds.
    """

    def __init__(self, level_kpa: float, is_broken: Timeline) -> None:
        self.level_kpa = level_kpa
        self._is_broken = is_broken

    def advance(
        self, state: AlarmState, k0: int, outlet_kpa: FloatArray, drive_ul_per_s: FloatArray
    ) -> tuple[FloatArray, AlarmState]:
        """Whether it sounds at each grid point of a chunk.

        Parameters
        ----------
        outlet_kpa : (n + 1,) at the grid points.
        drive_ul_per_s : (n,) what the pump's mechanism moves in each interval.

        Returns
        -------
        1 at the grid points (n + 1,) at which it sounds, and the state at the chunk's end.
        """
        sounding = np.zeros(CHUNK + 1)
        sounding[0] = state.sounds
        if not self.level_kpa or not (state.sounds or outlet_kpa.max() >= self.level_kpa):
            return sounding, state
        felt = outlet_kpa >= self.level_kpa
        felt[1:] &= (drive_ul_per_s > 0.0) & (self._is_broken.over(k0, k0 + CHUNK) == 0.0)
        silent = outlet_kpa < SILENT_SHARE * self.level_kpa
        sounds, onsets, heard = state.sounds, list(state.onsets_s), list[bool]()
        for i, (is_felt, is_silent) in enumerate(zip(felt[1:].tolist(), silent[1:].tolist(), strict=True), 1):
            if is_felt and not sounds:
                onsets.append(time_of(k0 + i))
            sounds = (sounds or is_felt) and not is_silent
            heard.append(sounds)
        sounding[1:] = heard
        return sounding, AlarmState(sounds, tuple(onsets))
