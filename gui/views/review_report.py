"""The report of a run as it will be written: its pages, and the button that writes it."""

from __future__ import annotations

from PyQt6.QtCore import QBuffer, QByteArray, QIODevice, QPointF
from PyQt6.QtGui import QColor, QPalette, QShowEvent
from PyQt6.QtPdf import QPdfDocument
from PyQt6.QtPdfWidgets import QPdfView
from PyQt6.QtWidgets import QHBoxLayout

from gui.presenters.context import Context
from gui.presenters.review_open import OpenRun
from gui.presenters.run_report import RunReport
from gui.theme.look import look
from gui.views.parts import Panel, ToneLabel, button, muted, tool

ZOOM = 1.2


class ReportPanel(Panel):
    """The pages are drawn beside Qt's thread; they scroll by wheel and keys."""

    def __init__(self, context: Context) -> None:
        super().__init__("Report")
        self._context = context
        self._presenter: RunReport | None = None
        self._buffer: QBuffer | None = None
        self.document = QPdfDocument(self)
        self.pages = QPdfView(self)
        self.pages.setAccessibleName("Pages of the report")
        self.pages.setPageMode(QPdfView.PageMode.MultiPage)
        self.pages.setZoomMode(QPdfView.ZoomMode.FitToWidth)
        self.pages.setDocument(self.document)
        self.title.hide()
        row = QHBoxLayout()
        row.setSpacing(4)
        self.write = button("&Write the PDF", "save", self._write, primary=True)
        self.write.setToolTip("Write these pages as PDF/A beside the run file, never over a report that is there")
        self.says = ToneLabel()
        self.page = muted("")
        row.addWidget(self.write)
        row.addSpacing(8)
        row.addWidget(self.says, 1)
        row.addWidget(self.page)
        row.addSpacing(8)
        for icon, says, act in (
            ("up", "Page before", lambda: self._turn(-1)),
            ("down", "Next page", lambda: self._turn(1)),
            ("smaller", "Smaller", lambda: self._zoom(1.0 / ZOOM)),
            ("larger", "Larger", lambda: self._zoom(ZOOM)),
            ("zoom-out", "As wide as there is room", self._fit_width),
            ("file", "Whole pages", self._fit_page),
        ):
            row.addWidget(tool(icon, says, act))
        self.body.addLayout(row)
        self.body.addWidget(self.pages, 1)
        self.body.addStretch(0)  # the row stays on top while there are no pages yet
        navigator = self.pages.pageNavigator()
        assert navigator is not None
        self._navigator = navigator
        navigator.currentPageChanged.connect(lambda _: self._show_page())
        look().changed.connect(self._restyle)
        self._restyle()

    # -- what the presenter says

    def show_run(self, run: OpenRun) -> None:
        """Show another run."""
        if self._presenter is not None:
            if self._presenter.run is run:
                return
            self._presenter.detach()
        self._presenter = RunReport(self._context, run)
        self._presenter.attach(self)
        self.show_proofs()

    def show_proofs(self) -> None:
        """The run was verified; its report is made where somebody looks."""
        if self._presenter is not None and self.isVisible():
            self._presenter.look()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Somebody looks."""
        super().showEvent(event)
        self.show_proofs()

    def show_report(self) -> None:
        """Show the pages."""
        presenter = self._presenter
        assert presenter is not None
        self.document.close()
        if self._buffer is not None:
            self._buffer.deleteLater()
            self._buffer = None
        if presenter.pdf is not None:
            self._buffer = QBuffer(self)
            self._buffer.setData(QByteArray(presenter.pdf))
            self._buffer.open(QIODevice.OpenModeFlag.ReadOnly)
            self.document.load(self._buffer)
            self._navigator.jump(0, QPointF(0.0, 0.0))
        self.pages.setVisible(presenter.pdf is not None)
        self._show_page()

    def show_news(self) -> None:
        """Show how far it is."""
        presenter = self._presenter
        assert presenter is not None
        self.write.setEnabled(presenter.can_write)
        self.says.say(*presenter.says)
        self.says.setToolTip("" if presenter.written is None else str(presenter.written))

    # -- what a person does

    def _write(self) -> None:
        if self._presenter is not None:
            self._presenter.write()

    def _turn(self, by: int) -> None:
        at = self._navigator.currentPage() + by
        if 0 <= at < self.document.pageCount():
            self._navigator.jump(at, QPointF(0.0, 0.0))

    def _zoom(self, by: float) -> None:
        viewport = self.pages.viewport()
        assert viewport is not None
        factor = self.pages.zoomFactor()
        if self.pages.zoomMode() is not QPdfView.ZoomMode.Custom and self.document.pageCount():
            wide = self.document.pagePointSize(0).width() * self.logicalDpiX() / 72.0
            factor = viewport.width() / max(wide, 1.0)
        self.pages.setZoomMode(QPdfView.ZoomMode.Custom)
        self.pages.setZoomFactor(min(max(factor * by, 0.2), 5.0))

    def _fit_width(self) -> None:
        self.pages.setZoomMode(QPdfView.ZoomMode.FitToWidth)

    def _fit_page(self) -> None:
        self.pages.setZoomMode(QPdfView.ZoomMode.FitInView)

    def _show_page(self) -> None:
        count = self.document.pageCount()
        self.page.setText(f"page {self._navigator.currentPage() + 1} of {count}" if count > 0 else "")

    def _restyle(self) -> None:
        palette = self.pages.palette()
        palette.setColor(QPalette.ColorRole.Dark, QColor(look().scheme.window))
        self.pages.setPalette(palette)
