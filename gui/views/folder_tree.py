"""The folders of this computer, to choose one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QDir, QModelIndex
from PyQt6.QtGui import QFileSystemModel
from PyQt6.QtWidgets import QTreeView


class FolderTree(QTreeView):
    """The folders of this computer; Enter or a double click takes one."""

    def __init__(self, chosen: Callable[[Path], None]) -> None:
        super().__init__()
        self.setAccessibleName("Folders")
        self.setHeaderHidden(True)
        self.setMaximumHeight(260)
        self._files: QFileSystemModel | None = None
        self._chosen = chosen
        self.activated.connect(self._take)

    def show_folder(self, folder: Path) -> None:
        """Unfold the tree down to a folder."""
        if self._files is None:
            self._files = QFileSystemModel(self)
            self._files.setFilter(QDir.Filter.AllDirs | QDir.Filter.NoDotAndDotDot)
            self._files.setRootPath("")
            self._files.directoryLoaded.connect(lambda _: self.scrollTo(self.currentIndex()))
            self.setModel(self._files)
            for column in range(1, self._files.columnCount()):
                self.hideColumn(column)
        index = self._files.index(str(folder))
        self.setCurrentIndex(index)
        self.expand(index)
        self.scrollTo(index)

    def _take(self, index: QModelIndex) -> None:
        if self._files is not None:
            self._chosen(Path(self._files.filePath(index)))
