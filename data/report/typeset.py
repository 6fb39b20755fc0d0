"""A report as PDF/A-3 with its run or campaign as JSON inside."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from data.report import FONTS
from data.report.blocks import Report
from data.report.content import attachment, report_of
from data.report.figures import Drawing, drawings, signs
from data.report.vouched import Vouched
from data.report.wording import SIGNS, as_json, drawable
from data.run import Run, RunError
from data.seal import Verification, verify

STANDARD: Final = "a-3a"
"""PDF/A-3, level a: with structure and words for every picture, and files may be attached."""

TEMPLATE = Path(__file__).parent / "report.typ"


def report_pdf(path: Path, *, found: Verification | None = None, vouched: Vouched | None = None) -> bytes:
    """The report of a run file as PDF/A-3a; the same file, program and worth of it give the same bytes.

    Parameters
    ----------
    found : what `data.seal.verify` said of the file; it is asked where this is left out.
    vouched : what those say who know keys and persons; without it the signatures are told as not checked.

    Raises
    ------
    RunError
        The file is missing, no run of ours, or altered so that it cannot be read.
    """
    return pdf_of(*gathered(path, found, vouched))


def pdf_of(report: Report, figures: Sequence[Drawing], data: str) -> bytes:
    """A report with its drawings as PDF/A-3a that carries ``data``, which is JSON."""
    import typst

    with TemporaryDirectory(prefix="pumpbench-") as folder:
        root = Path(folder)
        files: list[dict[str, Any]] = []
        for at, drawing in enumerate(figures):
            (root / f"drawing-{at}.svg").write_bytes(drawing.svg)
            files.append({"file": f"drawing-{at}.svg", "wide": drawing.wide})
        said = {**asdict(report), "drawings": files, "mark": SIGNS[report.tone]}
        (root / "report.json").write_text(as_json(_drawable(said, signs())), "utf-8")
        (root / report.data_name).write_text(data, "utf-8")
        main = root / "report.typ"
        main.write_bytes(TEMPLATE.read_bytes())
        where, fonts = str(root), [str(FONTS)]
        return typst.compile(
            str(main), root=where, font_paths=fonts, ignore_system_fonts=True, pdf_standards=[STANDARD]
        )


def gathered(
    path: Path, found: Verification | None, vouched: Vouched | None = None
) -> tuple[Report, list[Drawing], str]:
    """What a run's report says, its drawings, and the run as JSON."""
    seen = verify(path) if found is None else found
    try:
        with Run.open(path) as run:
            figures = drawings(run, run.evaluation)
            report = report_of(run, seen, figures, program(), vouched)
            return report, figures, as_json(attachment(run, report, seen.signatures, vouched))
    except Exception as error:
        if seen.intact or isinstance(error, RunError):
            raise
        raise RunError(
            f"{path}: is {seen.state} and cannot be reported ({_first_line(error)}); run verify on it"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def program() -> str:
    """Name and version of this program."""
    try:
        return f"pumpbench {version('pumpbench')}"
    except PackageNotFoundError:
        return "pumpbench"


def _drawable(value: Any, known: Container[int]) -> Any:
    if isinstance(value, str):
        return drawable(value, known)
    if isinstance(value, Mapping):
        return {key: _drawable(item, known) for key, item in value.items()}
    return [_drawable(item, known) for item in value] if isinstance(value, list | tuple) else value
