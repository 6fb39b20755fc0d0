"""What is tested and with what: chosen, typed or scanned; and who does it, and where the record goes."""

from __future__ import annotations

from PyQt6.QtWidgets import QHBoxLayout, QWidget

from gui.presenters.setup import SetUp
from gui.presenters.setup_choices import KINDS
from gui.views.parts import Panel, button
from gui.views.room import CalmCombo
from gui.views.setup_fields import Captioned, Entry

SHORT = {"dut": "device", "catheter": "catheter", "fluid": "fluid"}
HELP = {
    "dut": "its file, its model, or a scan of its label",
    "catheter": "its file, its model or its lot",
    "fluid": "its file, its name or its lot",
}


class ArticleBox(CalmCombo):
    """A combo box into which a name, a path, or a scan goes as well."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.setEditable(True)
        self.setInsertPolicy(CalmCombo.InsertPolicy.NoInsert)
        self.line = Entry(name)
        self.setLineEdit(self.line)
        self.setCompleter(None)  # Enter after a scan must never take a longer name than was scanned


class ArticlesPanel(Panel):
    """Device under test, catheter, fluid, person, and the folder of the run file."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("What is tested")
        self._presenter = presenter
        form = presenter.form
        self.boxes = {kind: ArticleBox(name) for kind, name in KINDS.items()}
        self.rows = {kind: Captioned(KINDS[kind], HELP[kind], box, wide=True) for kind, box in self.boxes.items()}
        self.serial, self.person, self.out = Entry("Serial number"), Entry("Person"), Entry("Output folder", form.out)
        self._serial_row = Captioned("Serial number", "of the device under test, typed or scanned", self.serial)
        self._person_row = Captioned("Person", "who runs this; it is recorded", self.person)
        self._out_row = Captioned("Output folder", "where the run file goes", self.out, wide=True)
        self._more = button("Change catheter or fluid", "down", self._show_more)
        self._is_more = False
        for kind, box in self.boxes.items():
            box.currentTextChanged.connect(lambda text, kind=kind: form.type_article(kind, text))
        self.serial.textEdited.connect(form.type_serial)
        self.person.textEdited.connect(form.type_person)
        self.out.textEdited.connect(form.type_out)
        self._lay_out()

    def _lay_out(self) -> None:
        self.body.addWidget(self.rows["dut"])
        self.body.addWidget(self._serial_row)
        self.body.addWidget(self.rows["catheter"])
        self.body.addWidget(self.rows["fluid"])
        row = QHBoxLayout()
        row.addWidget(self._more)
        row.addStretch(1)
        self.body.addLayout(row)
        self.body.addWidget(self._person_row)
        self.body.addWidget(self._out_row)

    @property
    def inputs(self) -> list[QWidget]:
        """What can have the focus, in the order in which it is read."""
        boxes = self.boxes
        return [boxes["dut"], self.serial, boxes["catheter"], boxes["fluid"], self._more, self.person, self.out]

    def show_choices(self) -> None:
        """Show what can be chosen."""
        choices = self._presenter.form.choices
        for kind, box in self.boxes.items():
            box.blockSignals(True)
            box.clear()
            for one in () if choices is None else choices.articles:
                if one.kind == kind:
                    box.addItem(one.name)
            box.blockSignals(False)
        self.show_form()

    def show_form(self) -> None:
        """Show what is filled in, and ask for what is asked for."""
        form = self._presenter.form
        asked = {kind: form.is_asked_for(kind) for kind in KINDS}
        for kind, box in self.boxes.items():
            if box.currentText() != form.articles[kind]:
                box.blockSignals(True)
                box.setEditText(form.articles[kind])
                box.blockSignals(False)
            self.rows[kind].setVisible(asked[kind] or self._is_more)
            self.show_article(kind)
        self._serial_row.setVisible(asked["dut"] or form.needs_serial)
        hidden = [SHORT[kind] for kind in KINDS if not asked[kind]]
        self._more.setText(
            f"Change {', '.join(hidden[:-1])} or {hidden[-1]}" if hidden[1:] else f"Change {''.join(hidden)}"
        )
        self._more.setVisible(bool(hidden) and not self._is_more)
        for entry, text in ((self.serial, form.serial), (self.person, form.person), (self.out, form.out)):
            if entry.text() != text:
                entry.setText(text)
        self.serial.setPlaceholderText("" if form.needs_serial else "SIMULATED")
        self._serial_row.say("" if form.needs_serial else "may be left out")

    def show_article(self, kind: str) -> None:
        """Show how a device, a catheter or a fluid is understood."""
        form = self._presenter.form
        says, error = form.article_says(kind)
        usual = getattr(form.station.station, kind, None) if form.station is not None else None
        if says and usual and form.articles[kind] == usual:
            says = f"{says} · the station's"
        if not form.articles[kind].strip():
            says, error = error, ""  # nobody has done anything wrong yet
        self.rows[kind].say(says, error)
        if form.is_asked_for(kind):
            self.rows[kind].show()  # never hidden here: somebody may be typing in it

    def _show_more(self) -> None:
        self._is_more = True
        self.show_form()
        self.boxes["catheter"].setFocus()
