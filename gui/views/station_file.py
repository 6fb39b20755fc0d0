"""The station file: its contents as a tree, its text, what is wrong with it, and the comparison before it is saved."""

from __future__ import annotations

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QColor, QTextBlockFormat, QTextCharFormat, QTextCursor
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.station_check import Node, Problem
from gui.presenters.station_editor import DiffLine, Part, StationEditor
from gui.presenters.toml_lines import line_of
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Notice, Panel, button
from gui.views.table import Column, Table
from gui.views.toml_editor import TomlEditor, monospaced

PAUSE_MS = 600
"""After so long without a key the text is checked."""

PROBLEM_ROWS = 4
NODE = Qt.ItemDataRole.UserRole


class Contents(QTreeWidget):
    """What the station is made of; whatever is chosen is shown in the text."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Contents of the station")
        self.setColumnCount(2)
        self.setHeaderLabels(["Part", "What it is"])
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        header = self.header()
        assert header is not None
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self._nodes: tuple[Node, ...] = ()
        look().changed.connect(self._restyle)

    def _restyle(self) -> None:
        nodes, self._nodes = self._nodes, ()
        self.show_tree(nodes)

    def show_tree(self, nodes: tuple[Node, ...]) -> None:
        """Show these parts; what was open stays open."""
        if nodes == self._nodes:
            return
        before = self._open_ones() if self.topLevelItemCount() else {"Instruments"}
        self._nodes = nodes
        self.clear()
        for node in nodes:
            made = self._item(node)
            self.addTopLevelItem(made)
            made.setExpanded(node.name in before)
            for at in range(made.childCount()):
                child = made.child(at)
                if child is not None:
                    child.setExpanded(f"{node.name}/{child.text(0)}" in before)

    def _item(self, node: Node) -> QTreeWidgetItem:
        made = QTreeWidgetItem([node.name, node.says])
        made.setData(0, NODE, node)
        for column, text in enumerate((node.name, node.says)):
            made.setToolTip(column, text)
        made.setForeground(1, QColor(look().scheme.muted))
        for child in node.children:
            made.addChild(self._item(child))
        return made

    def _open_ones(self) -> set[str]:
        found = set()
        for at in range(self.topLevelItemCount()):
            item = self.topLevelItem(at)
            if item is None:
                continue
            if item.isExpanded():
                found.add(item.text(0))
            children = (item.child(place) for place in range(item.childCount()))
            found |= {f"{item.text(0)}/{one.text(0)}" for one in children if one is not None and one.isExpanded()}
        return found


class Comparison(Panel):
    """What would be written, line by line, and the decision."""

    def __init__(self, editor: StationEditor) -> None:
        super().__init__("What changes")
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setAccessibleName("Lines that change")
        self.lines.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.lines.setTabChangesFocus(True)
        self.write = button("&Write the file", "save", editor.write, primary=True)
        self.back = button("&Go on editing", None, editor.go_on)
        self.tools.addWidget(self.back)
        self.tools.addWidget(self.write)
        self.body.addWidget(self.lines)
        self._shown: tuple[DiffLine, ...] = ()
        look().changed.connect(self._restyle)
        self.hide()

    def _restyle(self) -> None:
        self.show_lines(self._shown)

    def show_lines(self, lines: tuple[DiffLine, ...]) -> None:
        """Show the comparison."""
        self._shown = lines
        self.lines.setStyleSheet(monospaced())
        self.lines.clear()
        scheme, cursor = look().scheme, QTextCursor(self.lines.document())
        tones = {"+": scheme.tone(Tone.BUSY), "-": scheme.tone(Tone.WARN), "@": scheme.tone(Tone.MUTED)}
        for number, line in enumerate(lines):
            fill = tones.get(line.sign, scheme.tone(Tone.PLAIN))
            block, letters = QTextBlockFormat(), QTextCharFormat()
            letters.setForeground(QColor(fill.text))
            if fill.under != "transparent":
                block.setBackground(QColor(fill.under))
            if number:
                cursor.insertBlock()
            cursor.setBlockFormat(block)
            cursor.insertText(line.text if line.sign == "@" else f"{line.sign} {line.text}", letters)
        self.lines.moveCursor(QTextCursor.MoveOperation.Start)


class StationFilePanel(QWidget):
    """Tree, text and what is wrong, of one station file."""

    def __init__(self, editor: StationEditor) -> None:
        super().__init__()
        self._editor = editor
        self._is_filling = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(editor.check)
        self.contents = Contents()
        self.contents.currentItemChanged.connect(lambda item, _: self._chosen(item))
        self.contents.itemClicked.connect(lambda item, _: self._chosen(item))
        self.text = TomlEditor(self._typed)
        self.problems: Table[Problem] = Table(
            "Mistakes in the file",
            (
                Column("Line", lambda row: "" if row.line is None else str(row.line), number=True),
                Column("Mistake", lambda row: row.text, tone=lambda row: Tone.FAIL, stretch=True),
            ),
        )
        self.problems.clicked.connect(lambda _: self._jump_to_problem())
        self.problems.activated.connect(lambda _: self._jump_to_problem())
        self.refusal = Notice("", Tone.WARN)
        self.refusal.row.addWidget(button("Understood", None, editor.go_on))
        self.comparison = Comparison(editor)
        self.copy = self._copy_bar()
        self._lay_out()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        right = QWidget()
        inner = QVBoxLayout(right)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        for widget, stretch in (
            (self.copy, 0),
            (self.refusal, 0),
            (self.text, 3),
            (self.problems, 0),
            (self.comparison, 2),
        ):
            inner.addWidget(widget, stretch)
        split.addWidget(self.contents)
        split.addWidget(right)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 2)
        split.setSizes([420, 800])
        column.addWidget(split)

    def _copy_bar(self) -> Notice:
        bar = Notice("This station is shipped with the bench and cannot be changed.", Tone.MUTED)
        self.copy_name = QLineEdit()
        self.copy_name.setAccessibleName("Name of the copy")
        self.copy_name.setMaximumWidth(200)
        self.copy_name.returnPressed.connect(self._copy)
        self.copy_button = button("Cop&y to edit", "add", self._copy)
        inside = QHBoxLayout()
        inside.setSpacing(6)
        inside.addWidget(self.copy_name)
        inside.addWidget(self.copy_button)
        bar.row.addLayout(inside)
        return bar

    # -- what the presenter says

    def show_part(self, part: Part) -> None:
        """Show a part anew."""
        editor = self._editor
        if part == "text":
            self._is_filling = True
            self.text.edit.show_text(editor.text)
            self.text.edit.setReadOnly(editor.is_read_only)
            self.copy.setVisible(editor.is_read_only and editor.chosen is not None)
            self.copy_name.setText(editor.copy_name)
            self._is_filling = False
        elif part == "checked":
            problems = editor.problems if editor.is_checked else ()
            self.problems.show_rows(problems)
            self.problems.setVisible(bool(problems))
            self.problems.setFixedHeight((min(len(problems), PROBLEM_ROWS) + 1) * look().density.row + 8)
            self.text.edit.show_wrong({one.line: one.text for one in problems if one.line is not None})
            if editor.checked is not None:
                self.contents.show_tree(editor.checked.tree)
        elif part == "review":
            self.refusal.label.say(editor.refusal, Tone.WARN)
            self.refusal.setVisible(bool(editor.refusal))
            self.comparison.setVisible(bool(editor.review))
            self.comparison.show_lines(editor.review)
            if editor.review:
                self.comparison.write.setFocus()

    # -- what a person does

    def _typed(self, text: str) -> None:
        if not self._is_filling:
            self._editor.type(text)
            self._pause.start(PAUSE_MS)

    def _chosen(self, item: QTreeWidgetItem | None) -> None:
        node = None if item is None else item.data(0, NODE)
        if isinstance(node, Node):
            line = line_of(self._editor.text, node.key)
            if line is not None:
                self.text.edit.jump(line)

    def _jump_to_problem(self) -> None:
        row = self.problems.current()
        if row is not None and row.line is not None:
            self.text.edit.jump(row.line)
            self.text.edit.setFocus()

    def _copy(self) -> None:
        self._editor.copy(self.copy_name.text().strip())
