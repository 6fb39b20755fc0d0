"""Parts that make do with the room there is: lines and choices that are cut, and places that scroll."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QSize, Qt
from PyQt6.QtGui import QFocusEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)

from gui.theme.look import look


class Elided(QLabel):
    """A line that ends in dots where it does not fit; the whole is in its tool tip.

    Parameters
    ----------
    least : it takes the width of its text where there is room, and is cut down to so many pixels where there is not;
        without it it takes what it is given.
    """

    def __init__(self, text: str = "", least: int | None = None) -> None:
        super().__init__(text)
        self.setToolTip(text)
        self._least = least
        self.setProperty("muted", "true")
        policy = QSizePolicy.Policy
        self.setSizePolicy(*((policy.Ignored, policy.Fixed) if least is None else (policy.Maximum, policy.Preferred)))

    def setText(self, text: str | None) -> None:  # noqa: N802  # Qt's name
        """Show a line."""
        super().setText(text)
        self.setToolTip(text or "")

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return QSize(min(self._least or 0, self.sizeHint().width()), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw what fits."""
        painter = QPainter(self)
        fits = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), fits)


class CalmCombo(QComboBox):
    """A combo box that the mouse wheel does not change while the form is scrolled, and that may be narrow."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def focusInEvent(self, event: QFocusEvent | None) -> None:  # noqa: N802  # Qt's name
        """Come into sight where the letter of its label leads here; Qt sees to that for Tab alone."""
        super().focusInEvent(event)
        area: QWidget | None = self
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if event is not None and event.reason() is Qt.FocusReason.ShortcutFocusReason and area is not None:
            area.ensureWidgetVisible(self)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802  # Qt's name
        """Leave the wheel to the form."""
        if event is not None:
            event.ignore()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw what fits, with dots where it does not."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        assert style is not None
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self).width() - 4
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class Stack(QStackedWidget):
    """Widgets one in front of the other; it asks for no more room than the one in front needs."""

    def __init__(self) -> None:
        super().__init__()
        self.currentChanged.connect(lambda _: self.updateGeometry())

    @property
    def widgets(self) -> list[QWidget]:
        """All of them."""
        found = [self.widget(number) for number in range(self.count())]
        return [one for one in found if one is not None]

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        shown = self.currentWidget()
        return QSize() if shown is None else shown.minimumSizeHint()

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return self.minimumSizeHint()


class Pile(QWidget):
    """Panels one below the other, each with its share of what height is left."""

    def __init__(self, *parts: tuple[QWidget, int]) -> None:
        super().__init__()
        self.setObjectName("scrolled")
        self._parts = [part for part, _ in parts]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._gap = look().density.gap
        column.setSpacing(self._gap)
        for part, share in parts:
            column.addWidget(part, share)

    def least_height(self, width: int) -> int:
        """Least height at a width, at which nothing is cut: a text takes more lines where it is narrow."""
        heights = [self._least_of(part, width) for part in self._parts if not part.isHidden()]
        return sum(heights) + self._gap * max(len(heights) - 1, 0)

    @staticmethod
    def _least_of(part: QWidget, width: int) -> int:
        inside, least = part.layout(), part.minimumSizeHint().height()
        if inside is None or not inside.hasHeightForWidth():
            return least
        frame = part.contentsMargins()  # which the layout does not count
        narrow = inside.minimumHeightForWidth(width - frame.left() - frame.right())
        return max(narrow + frame.top() + frame.bottom(), part.minimumHeight())


class Squeezed(QScrollArea):
    """What is in it is made as small as it can be before anything scrolls; Qt's own scrolls what it would rather have.

    Parameters
    ----------
    across : whether it scrolls to the sides too; else it is never narrower than what is in it, and the bar beside that.
    """

    def __init__(self, content: QWidget, *, across: bool) -> None:
        super().__init__()
        self._across = across
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        least = super().minimumSizeHint()
        wide = 0 if self._across else self._needed().width() + look().density.scroll
        return QSize(max(least.width(), wide), least.height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Heed what is in it, which may need another size now."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
            self._fit()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Use the new room."""
        super().resizeEvent(event)
        self._fit()

    def _needed(self, width: int = 0) -> QSize:
        content = self.widget()
        least = QSize() if content is None else content.minimumSizeHint()
        if isinstance(content, Pile) and width:
            least.setHeight(content.least_height(max(width, least.width())))
        return least

    def _fit(self) -> None:
        content, room = self.widget(), self.maximumViewportSize()
        if content is None:
            return
        bar, needed = look().density.scroll, self._needed(room.width())
        if needed.height() > room.height():
            room.setWidth(room.width() - bar)
            needed = self._needed(room.width())
        if needed.width() > room.width():
            room.setHeight(room.height() - bar)
        if content.size() != room.expandedTo(needed):
            content.resize(room.expandedTo(needed))
