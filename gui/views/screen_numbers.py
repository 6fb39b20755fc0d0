"""Numbers in the language of the screen."""

from __future__ import annotations

import math

from PyQt6.QtCore import QLocale

from gui.presenters.numbers import NOTHING, unsigned_zero


class ScreenNumbers:
    """Meets `gui.presenters.numbers.Numbers` by the locale of the desktop; groups of digits are not marked."""

    def __init__(self, locale: QLocale | None = None) -> None:
        self._locale = locale or QLocale()
        self._locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)

    def number(self, value: float | None, digits: int) -> str:
        """As `Numbers.number`."""
        if value is None or not math.isfinite(value):
            return NOTHING
        return self._locale.toString(unsigned_zero(value, digits), "f", max(digits, 0)).replace("-", "−")
