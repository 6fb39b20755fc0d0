"""What is assumed of an instrument where neither its certificate nor its maker says it."""

SYRINGE_U_PERCENT = 0.5
"""Standard uncertainty of a syringe pump's volume: 1 % at k = 2."""

TRANSDUCER_GAIN_U_PERCENT = 0.25
"""The same of a pressure transducer's gain: 0.25 % of full scale."""

PLAY_KPA = 0.2
"""Width of a transducer's play: 0.1 % of 200 kPa."""
