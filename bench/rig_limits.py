"""What a station asks of its rig check: reference weight, limits, and how long a passed check holds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from data.quantity_fields import FlowUlPerH, MassMg, MassMgPerH, Percent, PressureKpa, Stated, TimeS, reads

ComplianceUlPerKpa = Annotated[float, reads("compliance")]


class RigLimits(Stated):
    """Table ``[rig_check]`` of a station file.

    ``compliance`` is the baseline of the rig without air; ``compliance_band`` how far it may be from that.
    ``quiet_allan`` is the Allan deviation of the balance at 100 s; ``pushed`` how much more or less than the syringe
    pump pushes may arrive at any rate.
    """

    demanded: bool = True
    valid_s: TimeS = Field(86_400.0, alias="valid", gt=0.0)
    weight_mg: MassMg = Field(alias="weight")
    weight_certificate: str
    weight_u_mg: MassMg = Field(alias="weight_u")
    weight_error_mg: MassMg = Field(alias="weight_error")
    weight_sd_mg: MassMg = Field(alias="weight_sd")
    quiet_rms_mg: MassMg = Field(alias="quiet_rms")
    quiet_allan_mg: MassMg = Field(alias="quiet_allan")
    quiet_drift_mg_per_h: MassMgPerH = Field(alias="quiet_drift")
    quiet_spikes: int = Field(2, ge=0)
    zero_kpa: PressureKpa = Field(alias="zero")
    span_percent: Percent = Field(alias="span", examples=["1 %"])
    leak_ul_per_h: FlowUlPerH = Field(alias="leak")
    compliance_ul_per_kpa: ComplianceUlPerKpa = Field(alias="compliance")
    compliance_band_ul_per_kpa: ComplianceUlPerKpa = Field(alias="compliance_band")
    flow_zero_ul_per_h: FlowUlPerH = Field(alias="flow_zero")
    flow_gain_percent: Percent = Field(alias="flow_gain", examples=["8 %"])
    pushed_percent: Percent = Field(2.0, alias="pushed", gt=0.0)
