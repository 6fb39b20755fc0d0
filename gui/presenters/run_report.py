"""The report of a run that is open: made as it would be written, shown, and written as it was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from data.seal import Verification
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.review_open import OpenRun
from gui.presenters.review_read import insist_same
from gui.presenters.tone import Tone

REPORT_S = 600.0
"""A report of a long run takes minutes at most."""

MOST_REPORTS = 1000


class ReportView(Protocol):
    """What the presenter asks of its view."""

    def show_report(self) -> None:
        """Show `RunReport.pdf`: there is another one, or none any more."""

    def show_news(self) -> None:
        """Show `RunReport.says` and what can be done."""


class RunReport:
    """The report of one run.

    Attributes
    ----------
    pdf : as it would be written; None until it was made.
    written : where it was written; None until then.
    says : what became of it, with the tone.
    """

    def __init__(self, context: Context, run: OpenRun) -> None:
        self.context = context
        self.run = run
        self.pdf: bytes | None = None
        self.written: Path | None = None
        self.says: tuple[str, Tone] = ("", Tone.PLAIN)
        self.is_making = self.is_writing = False
        self._of: Verification | None = None
        self._cancel: Cancel = nothing
        self._view: ReportView | None = None

    def attach(self, view: ReportView) -> None:
        """Have a view."""
        self._view = view
        view.show_report()
        view.show_news()

    def detach(self) -> None:
        """Have no view any more; what is being made is left."""
        self._view = None
        self._cancel()

    def look(self) -> None:
        """Make the report of what was verified last: after a signature it is another one."""
        found = self.run.verification
        if found is None:
            word, _, tone = self.run.seal_says
            self.says = (f"The record is being verified first: {word}" if tone is Tone.BUSY else word, tone)
            self._show_news()
        elif self.run.is_replaced:
            self._cancel()
            self._of, self.written = found, None
            self._not_made(self.run.seal_says[1])
        elif found is not self._of:
            self._make(found)

    def _make(self, found: Verification) -> None:
        self._cancel()
        self._of, self.is_making, self.says = found, True, ("Making the report…", Tone.BUSY)
        self._show_news()
        seal = "" if self.run.review is None else self.run.review.seal
        arguments = (self.run.path, self.context.state_folder, found, seal)
        self._cancel = self.context.background.apart(
            report_made, arguments, self._made, self._not_made, deadline_s=REPORT_S
        )

    def _made(self, pdf: bytes) -> None:
        self.pdf, self.written, self.is_making = pdf, None, False
        self.says = ("Not written yet: this is what the PDF will be", Tone.MUTED)
        if self._view is not None:
            self._view.show_report()
        self._show_news()

    def _not_made(self, said: str) -> None:
        self.pdf, self.is_making, self.says = None, False, (f"No report: {said}", Tone.FAIL)
        if self._view is not None:
            self._view.show_report()
        self._show_news()

    def write(self) -> None:
        """Write what is shown as a PDF beside the run file, never over one that is there."""
        if self.pdf is None or self.is_writing or self.written is not None:
            return
        pdf, path = self.pdf, self.run.path
        self.is_writing = True
        self._show_news()
        self.context.background.aside(lambda: written(pdf, path), self._written, self._not_written)

    def _written(self, out: Path) -> None:
        self.is_writing, self.written = False, out
        self.says = (f"{out.name} is beside the run file", Tone.GOOD)
        self._show_news()
        if self._view is None:
            self.context.notify(f"Report {out}", Tone.GOOD)

    def _not_written(self, said: str) -> None:
        self.is_writing, self.says = False, (f"Not written: {said}", Tone.FAIL)
        self._show_news()
        if self._view is None:
            self.context.notify(f"{self.run.path.name}: its report was not written: {said}", Tone.FAIL)

    @property
    def can_write(self) -> bool:
        """Whether there is something to write that is not there yet."""
        return self.pdf is not None and not self.is_writing and not self.is_making and self.written is None

    def _show_news(self) -> None:
        if self._view is not None:
            self._view.show_news()


# -- what is done in the background


def report_made(path: Path, folder: Path, found: Verification, seal: str) -> bytes:
    """The report of a run as PDF, of what verifying it has found and the state folder knows of it.

    Raises
    ------
    ValueError
        Another file than the one with this seal lies there by now.
    """
    from bench.trust.standing import vouched
    from data.report.typeset import report_pdf

    pdf = report_pdf(path, found=found, vouched=vouched(path, folder, found))
    insist_same(path, seal)
    return pdf


def written(pdf: bytes, run_file: Path) -> Path:
    """Write a report under the first name beside its run file that is free."""
    for number in range(1, MOST_REPORTS):
        out = run_file.with_name(f"{run_file.stem}{'' if number == 1 else f'-{number}'}.pdf")
        try:
            file = out.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(pdf)
        except OSError:
            out.unlink(missing_ok=True)
            raise
        return out
    raise ValueError(f"{run_file.parent}: has {MOST_REPORTS} reports of this run; move them elsewhere")
