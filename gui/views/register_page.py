"""The register page: articles and certificates, run numbers, and what an instrument has touched."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QTabWidget, QVBoxLayout

from gui.presenters.register import Register
from gui.theme.look import look
from gui.views.parts import Page
from gui.views.register_articles import ArticlesView
from gui.views.register_tabs import ImpactView, NumbersView


class RegisterPage(Page):
    """What the lab has, which numbers were given, and which runs rest on what."""

    def __init__(self, presenter: Register) -> None:
        super().__init__("Register")
        self.presenter = presenter
        self.articles = ArticlesView(presenter, self._to_impact)
        self.numbers, self.impact = NumbersView(presenter), ImpactView(presenter)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("What is registered")
        self.tabs.addTab(self.articles, "Arti&cles and certificates")
        self.tabs.addTab(self.numbers, "Run &numbers")
        self.tabs.addTab(self.impact, "&Impact of an instrument")
        column = QVBoxLayout(self)
        gap = look().density.gap
        column.setContentsMargins(gap, 2, gap, gap)
        column.addWidget(self.tabs)
        presenter.attach(self)

    # -- what the presenter says

    def show_articles(self) -> None:
        """Show the articles."""
        self.articles.show_articles()

    def show_article(self) -> None:
        """Show the chosen one."""
        self.articles.show_article()

    def show_numbers(self) -> None:
        """Show the run numbers."""
        self.numbers.show_numbers()

    def show_impact(self) -> None:
        """Show what an instrument has touched."""
        self.impact.show_impact()

    def _to_impact(self) -> None:
        self.impact.ask(*self.presenter.first_doubt())
        self.tabs.setCurrentWidget(self.impact)

    # -- Qt

    def shown(self) -> None:
        """The page has come to the front."""
        bar = self.tabs.tabBar()
        if self.tabs.currentWidget() is self.articles:
            self.articles.table.setFocus()
        elif bar is not None:
            bar.setFocus(Qt.FocusReason.OtherFocusReason)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Everything is read again when somebody comes to look."""
        super().showEvent(event)
        self.presenter.look()
