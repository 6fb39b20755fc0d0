"""The panel in which a run is prepared: station and protocol, parameters, what is tested, and the start."""

from __future__ import annotations

import itertools

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from gui.presenters.setup import SetUp
from gui.presenters.setup_form import Part
from gui.presenters.tone import Tone
from gui.views.parts import Panel, Pill, ToneLabel, button, clear, muted, scrolled, set_property, tool
from gui.views.room import CalmCombo
from gui.views.setup_articles import ArticlesPanel
from gui.views.setup_fields import ParamRow, TwoColumns
from gui.views.setup_findings import FindingsPanel, ForecastPanel, PlanPanel
from gui.views.setup_queue import QueuePanel
from gui.views.setup_simulation import SimulationPanel

TWO_COLUMNS = 720
"""Width from which on the form has two columns."""

START_WIDTH = 280


class SetUpPanel(QWidget):
    """A run that is being prepared; at home in 360 pixels and in a whole page."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("New run")
        self.presenter = presenter
        self.rows: dict[str, ParamRow] = {}
        self.station, self.protocol = CalmCombo("Station"), CalmCombo("Protocol")
        self.articles = ArticlesPanel(presenter)
        self.simulation = SimulationPanel(presenter)
        self.findings, self.forecast = FindingsPanel(presenter), ForecastPanel(presenter)
        self.plan, self.queue = PlanPanel(presenter), QueuePanel(presenter)
        self._offer = self._made_offer()
        self._parameters = Panel("Parameters")
        self._usual = tool("again", "Put everything back to what is usual", presenter.form.put_back)
        self._parameters.tools.addWidget(self._usual)
        left = (self._offer, self._made_choice(), self._parameters, self.articles, self.simulation)
        right = (self.findings, self.queue, self.forecast, self.plan)
        self.columns = TwoColumns(left, right, TWO_COLUMNS)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(6, 0, 6, 6)
        outer.setSpacing(6)
        self._area = scrolled(self.columns)
        outer.addWidget(self._area, 1)
        outer.addWidget(self._made_start())
        presenter.attach(self)
        self._show_start()

    # -- making

    def _made_offer(self) -> QFrame:
        offer = QFrame()
        set_property(offer, "notice", str(Tone.BUSY))
        column = QVBoxLayout(offer)
        column.setContentsMargins(10, 8, 10, 10)
        head = QLabel("Nothing was run here yet")
        head.setProperty("heading", "true")
        says = QLabel(
            "See the whole job once: a flow-accuracy run on the simulated station, with progress, values and a verdict "
            "at the end."
        )
        says.setWordWrap(True)
        self.try_it = button("&Try it: a simulated run in one minute", "play", self.presenter.try_it, primary=True)
        for widget in (head, says, self.try_it):
            column.addWidget(widget)
        offer.hide()
        return offer

    def _made_choice(self) -> Panel:
        panel = Panel("Station and protocol")
        self._again = tool("again", "Look for station files and device files again", self.presenter.find)
        panel.tools.addWidget(self._again)
        self._state = Pill("", Tone.PLAIN)
        self._state.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._wrong = ToneLabel("", Tone.FAIL)
        self._wrong.hide()
        self._title = muted("", wrap=True)
        head = QHBoxLayout()
        head.addWidget(_caption("St&ation", self.station))
        head.addStretch(1)
        head.addWidget(self._state)
        panel.body.addLayout(head)
        panel.body.addWidget(self.station)
        panel.body.addWidget(self._wrong)
        panel.body.addWidget(_caption("&Protocol and recipe", self.protocol))
        panel.body.addWidget(self.protocol)
        panel.body.addWidget(self._title)
        form = self.presenter.form
        self.station.activated.connect(lambda at: form.choose_station(self.station.itemData(at)))
        self.protocol.activated.connect(lambda at: form.choose(self.protocol.itemData(at)))
        return panel

    def _made_start(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("panel")
        self._start_row = QHBoxLayout(bar)
        self._start_row.setContentsMargins(10, 8, 10, 10)
        self._start_row.setSpacing(6)
        self._takes = muted("", wrap=True)
        self._why_not = ToneLabel("", Tone.MUTED)
        self._show_why = tool("info", "Show what was found", self._show_found)
        self.start = button("&Start the run", "play", self.presenter.start, primary=True)
        says = QVBoxLayout()
        says.setSpacing(2)
        says.addWidget(self._takes)
        self._why = QWidget()  # a layout of hidden parts alone would be 0 wide, and make the column as narrow
        why = QHBoxLayout(self._why)
        why.setContentsMargins(0, 0, 0, 0)
        why.addWidget(self._why_not, 1)
        why.addWidget(self._show_why, 0, Qt.AlignmentFlag.AlignTop)
        says.addWidget(self._why)
        self._start_row.addLayout(says, 1)
        self._start_row.addWidget(self.start)
        return bar

    # -- what the presenter says

    def show_part(self, part: Part, name: str) -> None:
        """Show what the presenter says now."""
        if part == "field":
            self.rows[name].show_field(self.presenter.form.fields[name])
        elif part == "article":
            self.articles.show_article(name)
        else:
            shows = {
                "choices": (self._show_choices, self.articles.show_choices),
                "states": (self._show_states,),
                "form": (self._show_form, self.articles.show_form, self.simulation.show_all),
                "simulation": (self.simulation.show_all,),
                "findings": (self.findings.show_all, self.forecast.show_all, self.plan.show_all),
                "start": (self._show_start,),
                "queue": (self.queue.show_all, self._show_start),
            }
            for show in shows[part]:
                show()
            if part == "findings":
                self._chain()

    def _show_choices(self) -> None:
        form = self.presenter.form
        if form.choices is None:
            return
        self.station.clear()
        for one in form.choices.stations:
            self.station.addItem(one.shown, one.name)
        self._show_states()
        self._show_protocols()

    def _show_protocols(self) -> None:
        form = self.presenter.form
        if form.choices is None or form.protocol is None:
            return
        self.protocol.clear()
        for name in sorted(form.choices.protocols, key=lambda name: (not form.can_do(name), name)):
            self.protocol.addItem(name if form.can_do(name) else f"{name} – not on this station", name)
        for one in form.choices.recipes:
            self.protocol.addItem(one.shown, one.name)
        chosen = form.protocol.name if form.recipe is None else form.recipe.name
        self.protocol.setCurrentIndex(self.protocol.findData(chosen))
        said = f"{form.protocol.title}. Method {form.protocol.method}."
        self._title.setText(said if form.recipe is None else f"{said} {form.recipe.says}")

    def _show_states(self) -> None:
        station = self.presenter.form.station
        if station is None:
            return
        self.station.setCurrentIndex(self.station.findData(station.name))
        self.station.setToolTip(station.shown)
        said, tone = station.state
        self._wrong.setVisible(station.station is None)
        self._wrong.say(said, tone)
        self._state.setVisible(station.station is not None)
        self._state.say(said, tone)

    def _show_form(self) -> None:
        form = self.presenter.form
        clear(self._parameters.body)
        self.rows = {name: ParamRow(field, form.type, form.leave) for name, field in form.fields.items()}
        for row in self.rows.values():
            self._parameters.body.addWidget(row)
        self._show_states()
        self._show_protocols()
        self._chain()

    def _show_start(self) -> None:
        presenter = self.presenter
        why, takes, first = presenter.why_not, presenter.takes(), presenter.waits_behind
        self._offer.setVisible(presenter.is_first and not presenter.is_starting)
        self._takes.setText(takes)
        self._takes.setVisible(bool(takes))
        warns = bool(presenter.blocking) or not why
        self._why_not.say(why or first, Tone.BUSY if why.endswith("…") else Tone.WARN if warns else Tone.MUTED)
        self._why.setVisible(bool(why or first))
        self._show_why.setVisible(bool(presenter.blocking))
        self.start.setText(presenter.start_word)
        self.start.setAccessibleName(presenter.start_word.replace("&", ""))
        self.start.setEnabled(not why)
        self.start.setToolTip(why)

    def _show_found(self) -> None:
        self._area.ensureWidgetVisible(self.findings)
        for entry in self.findings.reasons.values():
            entry.setFocus()
            return

    def _chain(self) -> None:
        """The tab key goes through the form as it is read, though its fields were made anew."""
        row: list[QWidget] = [self.try_it, self._again, self.station, self.protocol, self._usual]
        row += [one.edit for one in self.rows.values()]
        row += [*self.articles.inputs, *self.simulation.inputs, *self.findings.inputs, *self.queue.inputs]
        row += [self.forecast.decided, self.forecast.table, self.plan.table, self._show_why, self.start]
        for first, second in itertools.pairwise(row):
            QWidget.setTabOrder(first, second)

    # -- Qt

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """The button stands beside what is said of the start where there is room, else under it."""
        super().resizeEvent(event)
        wide = self.width() >= TWO_COLUMNS
        way = QHBoxLayout.Direction
        self._start_row.setDirection(way.LeftToRight if wide else way.TopToBottom)
        self._start_row.setStretch(0, 1 if wide else 0)
        self.start.setMinimumWidth(START_WIDTH if wide else 0)
        policy = QSizePolicy.Policy
        self.start.setSizePolicy(policy.Fixed if wide else policy.Expanding, policy.Fixed)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Things are looked at while somebody sees them."""
        super().showEvent(event)
        self.presenter.shown(True)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """And not else."""
        super().hideEvent(event)
        self.presenter.shown(False)


def _caption(text: str, of: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(of)
    return label
