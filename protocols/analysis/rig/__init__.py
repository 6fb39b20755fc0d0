"""The daily proof that a rig is fit: balance, line, flow sensor, and the chart that follows them over the months."""


class RecordError(ValueError):
    """A record that is too short for what it is to show, or shows something else; the sentence says what."""
