"""The station page: its file, calibrations, rig checks, what is at the ports, and the protocols on the bench itself."""

from __future__ import annotations

from datetime import date
from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QComboBox, QHBoxLayout, QPushButton, QTabWidget, QVBoxLayout, QWidget

from gui.presenters.certificate_rows import CertificateRow
from gui.presenters.context import Context
from gui.presenters.station_editor import Part, StationEditor
from gui.presenters.station_rig import StationRig
from gui.presenters.station_scan import StationScan
from gui.presenters.tone import Tone
from gui.views.parts import Page, SureButton, ToneLabel, button, muted
from gui.views.station_file import StationFilePanel
from gui.views.station_rig_panel import StationRigPanel
from gui.views.station_scan import StationScanPanel
from gui.views.table import Column, Table

ICONS = {"read-out": "cursor", "calibration": "compare", "valve-test": "hold", "rig-check": "wrench"}


class StationPage(Page):
    """One station."""

    def __init__(self, context: Context) -> None:
        super().__init__("Station")
        self.editor = StationEditor(context)
        self.rig = StationRig(context)
        self.file = StationFilePanel(self.editor)
        self.checks = StationRigPanel(context, self.rig)
        self.scan = StationScanPanel(StationScan(context, self.editor), self._show_file)
        self.certificates: Table[CertificateRow] = Table(
            "Calibrations",
            (
                Column("Channel", lambda row: row.channel),
                Column("Certificate", lambda row: row.certificate),
                Column("Due", lambda row: row.due, number=True),
                Column("Left", lambda row: row.left, tone=lambda row: row.tone),
                Column("Standard uncertainty", lambda row: row.u, number=True),
                Column("", lambda row: "", stretch=True),
            ),
        )
        self._lay_out()
        self.editor.attach(self)
        for part in ("files", "text", "checked", "review"):
            self.show_part(part)

    def shown(self) -> None:
        """Come to the front: files may have come or gone."""
        self.editor.find()
        self.certificates.show_rows(self.editor.certificates(date.today()))  # the window may be open for days
        self._look_at_tab()
        if not self.isAncestorOf(QApplication.focusWidget()):
            self.files.setFocus(Qt.FocusReason.OtherFocusReason)

    @property
    def unsaved(self) -> list[str]:
        """As `Page.unsaved`: files that were typed in."""
        return self.editor.unsaved

    # -- parts

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 8)
        column.addLayout(self._bar())
        self.tabs = QTabWidget()
        self.tabs.addTab(self.file, "&File")
        self.tabs.addTab(self._calibrations(), "&Calibrations")
        self.tabs.addTab(self.checks, "Rig chec&ks")
        self.tabs.addTab(self.scan, "Sc&an")
        self.tabs.currentChanged.connect(lambda _: self._look_at_tab())
        column.addWidget(self.tabs, 1)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Save), self, self.editor.save)

    def _bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.setSpacing(6)
        self.files = QComboBox()
        self.files.setAccessibleName("Station file")
        self.files.setMinimumWidth(190)
        self.files.activated.connect(lambda _: self.editor.choose(str(self.files.currentData())))
        self.state = ToneLabel("", Tone.MUTED)
        bar.addWidget(self.files)
        bar.addWidget(self.state, 1)
        self.protocols: dict[str, QPushButton] = {}
        for action in self.editor.actions:
            made = button(action.word, ICONS[action.protocol], partial(self.editor.prepare, action.protocol))
            self.protocols[action.protocol] = made
            bar.addWidget(made)
        bar.addSpacing(10)
        self.revert = SureButton("Rever&t", "Throw away: press again", self.editor.revert)
        self.save = button("&Save…", "save", self.editor.save, primary=True)
        bar.addWidget(self.revert)
        bar.addWidget(self.save)
        return bar

    def _calibrations(self) -> QWidget:
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(
            muted("A run that would end after the due date of a channel that it uses does not start.", True)
        )
        column.addWidget(self.certificates, 1)
        return made

    # -- what the presenter says

    def show_part(self, part: Part) -> None:
        """Show a part anew."""
        self.file.show_part(part)
        editor = self.editor
        if part == "files":
            self._show_files()
        elif part == "text":
            self.revert.calm()
        elif part == "checked":
            self.certificates.show_rows(editor.certificates(date.today()))
            if editor.is_checked:
                self._look_at_rig()
        self.state.say(*editor.state)
        for action in editor.actions:
            made = self.protocols[action.protocol]
            made.setEnabled(not action.why_not)
            made.setToolTip(f"Not here: {action.why_not}" if action.why_not else f"Prepare a run of {action.protocol}")
        self.save.setEnabled(editor.is_changed and not editor.is_read_only)
        self.revert.setEnabled(editor.is_changed)

    def jump(self, line: int) -> None:
        """Bring a line of the text into view."""
        self.file.text.edit.jump(line)

    def _show_files(self) -> None:
        editor = self.editor
        self.files.clear()
        for item in editor.files:
            self.files.addItem(f"{item.shown} •" if editor.has_draft(item) else item.shown, item.name)
            self.files.setItemData(self.files.count() - 1, str(item.path), 3)  # the tool tip
        if editor.chosen is not None:
            self.files.setCurrentIndex(self.files.findData(editor.chosen.name))
            self.files.setToolTip(str(editor.chosen.path))

    def _look_at_rig(self) -> None:
        chosen = self.editor.chosen
        if chosen is not None and self.tabs.currentWidget() is self.checks:
            self.rig.look(chosen.name, self.editor.saved)

    def _look_at_tab(self) -> None:
        """What a tab shows may have changed since it was last in front."""
        if self.tabs.currentWidget() is self.scan:
            self.scan.shown()
        self._look_at_rig()

    def _show_file(self) -> None:
        self.tabs.setCurrentWidget(self.file)
        self.file.text.edit.setFocus()
