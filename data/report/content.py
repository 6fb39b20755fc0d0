"""From a run file to what its report says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from data.checks import Evaluation, Origin
from data.keys import key_id
from data.report.blocks import Block, Cell, Pairs, Plot, Report, Section, Signing, Table, Text, Tone
from data.report.dose import dose_section
from data.report.figures import Drawing
from data.report.results import budgets, checks, main_results, verdict_lines
from data.report.set_up import setup
from data.report.story import deviations, first_page, story
from data.report.vouched import Vouched
from data.report.wording import TONES, length, moment_text
from data.run import Run, RunError
from data.seal import Verification

BANNERS = {
    Origin.SIMULATED: "SIMULATED: these data come from a simulated bench and say nothing of a real pump",
    Origin.REPLAYED: "REPLAYED: these data were played from an earlier record",
    Origin.IMPORTED: "IMPORTED: these data were recorded elsewhere; indicative until the evidence is entered",
}
SIGNED = ("number", "name", "role", "meaning", "when", "reason")
MEANINGS = ("Tested by", "Reviewed by", "Approved by")
NOT_PROVEN = "NOT PROVEN"
NOT_CHECKED = "signatures not checked"
NO_EVALUATION = "The file holds no evaluation: the run was not closed, or this is a snapshot."


def report_of(
    run: Run, found: Verification, figures: Sequence[Drawing], program: str, vouched: Vouched | None = None
) -> Report:
    """The report of an open run.

    Parameters
    ----------
    found : what `data.seal.verify` says of the file.
    figures : the run's drawings.
    program : name and version of this program.
    vouched : what those say who know keys and persons; without it no signature counts as checked.
    """
    evaluation = run.evaluation
    found = replace(found, problems=_anywhere(found.problems, run.path))
    said = vouched and replace(vouched, problems=_anywhere(vouched.problems, run.path))
    sealed = found.sealed
    digest = found.digest or str(sealed.get("content") or "")
    run_id = str(run.session.get("run_id") or sealed.get("run_id") or "unknown")
    start = run.start.astimezone(UTC)
    banner = " · ".join(filter(None, (_record_banner(found, said), BANNERS.get(run.origin, ""))))
    verdict = str(evaluation.verdict) if evaluation else "not evaluated"
    tone: Tone = TONES[evaluation.verdict] if evaluation else "warn"
    sections = [
        Section("", [Pairs(_identity(run, run_id, found, said, digest))]),
        *_found(run, evaluation, figures),
        *setup(run),
        *story(run),
        Section("Signatures", _signing(run, found.signatures, said)),
    ]
    return Report(
        title=f"Test report: {run.procedure}",
        subject=run.title,
        moment=(start.year, start.month, start.day, start.hour, start.minute, start.second),
        run_id=run_id,
        digest=digest,
        banner=banner,
        verdict=verdict.replace("-", " ").upper(),
        tone=tone,
        verdict_lines=[_status(run), *(verdict_lines(evaluation) if evaluation else [NO_EVALUATION])],
        footer=(
            f"run {run_id} · {run.origin} · verdict {verdict} · {_signed_line(found.signatures, said)}",
            f"content digest {digest or 'none'}",
        ),
        sections=sections,
        program=program,
        document=f"Test report: {run.procedure}, run {run_id}",
    )


def attachment(
    run: Run, report: Report, signed: Sequence[Mapping[str, Any]], vouched: Vouched | None = None
) -> dict[str, Any]:
    """The run as plain data at full precision, without its samples: what the PDF carries inside.

    ``signatures_not_proven`` has why, by the number of each signature that is not; None where none was checked.
    """
    evaluation = run.evaluation
    try:
        schedule: dict[str, Any] | None = run.schedule.to_json()
    except RunError:
        schedule = None
    return {
        "run_id": report.run_id,
        "content_digest": report.digest,
        "report_by": report.program,
        "procedure": run.procedure,
        "method": run.method,
        "title": run.title,
        "origin": str(run.origin),
        "status": str(run.status),
        "status_reason": run.status_reason,
        "start": run.start.isoformat(),
        "duration_s": run.end_s,
        "seed": run.seed,
        "faults": run.faults,
        "verdict": str(evaluation.verdict) if evaluation else None,
        "evaluated_by": run.evaluated_by,
        "checks": [asdict(check) for check in evaluation.checks] if evaluation else [],
        "excluded": [asdict(item) for item in evaluation.excluded] if evaluation else [],
        "values": dict(evaluation.values) if evaluation else {},
        "curves": _curves(evaluation),
        "deviations": [{"t": one.t, "text": one.text} for one in deviations(run)],
        "parameters": run.params,
        "schedule": schedule,
        "dut": run.dut,
        "catheter": run.catheter,
        "fluid": run.fluid,
        "roles": run.roles,
        "instruments": run.instruments,
        "station": run.station,
        "software": run.software,
        "findings": run.findings,
        "steps": run.steps,
        "events": [{"t": event.t, "kind": event.kind, **dict(event.fields)} for event in run.events],
        "session": run.session,
        "signatures": [dict(row) for row in signed],
        "signatures_not_proven": None if vouched is None else _unproven(vouched),
    }


def _unproven(vouched: Vouched) -> dict[str, str]:
    return {str(number): why for number, why in enumerate(vouched.worth, 1) if why}


def _curves(evaluation: Evaluation | None) -> list[dict[str, Any]]:
    return [
        {
            "name": curve.name,
            "title": curve.title,
            "axes": [
                {"name": axis.name, "unit": axis.unit, "values": axis.values.tolist()} for axis in (curve.x, *curve.y)
            ],
        }
        for curve in (evaluation.curves if evaluation else ())
    ]


def _found(run: Run, evaluation: Evaluation | None, figures: Sequence[Drawing]) -> list[Section]:
    """What was found, from the first page on."""
    plots: list[Block] = [Plot(at, drawing.caption, drawing.alt) for at, drawing in enumerate(figures)]
    sections = [*first_page(run, evaluation)]
    if evaluation is not None:
        sections.insert(0, main_results(evaluation))
    if plots:
        sections.append(Section("Plots", plots))
    if evaluation is not None:
        sections += [checks(evaluation), budgets(evaluation), dose_section(run, evaluation)]
    return sections


def _identity(
    run: Run, run_id: str, found: Verification, vouched: Vouched | None, digest: str
) -> list[tuple[str, str]]:
    dut = run.dut
    pump = " ".join(filter(None, (str(dut.get("maker") or ""), str(dut.get("model") or "")))) or "–"
    lot = f", lot {dut['lot']}" if dut.get("lot") else ""
    end = run.start + timedelta(seconds=run.end_s)
    made_by = str(run.session.get("user") or "–")
    account = str(run.session.get("os_account") or "")
    if account and account != made_by:
        made_by += f" (account {account})"
    rows = [
        ("Run", run_id),
        ("File", _file_name(run.path, run.session.get("run_file"))),
        ("Protocol", f"{run.procedure}, method {run.method}"),
        ("Pump", f"{pump}, serial {dut.get('serial') or '–'}{lot}"),
        (
            "Station",
            " · ".join(filter(None, (str(run.station.get("name") or "–"), str(run.station.get("title") or "")))),
        ),
        ("Person", made_by),
        ("Begin, end", f"{moment_text(run.start)} to {moment_text(end)}, {length(run.end_s)}"),
        ("Origin", _origin(run)),
        ("Software", f"pumpbench {run.software.get('pumpbench', '–')}, Python {run.software.get('python', '–')}"),
        ("Record", f"{(vouched or found).state}, {_sealed_by(found)}"),
        ("Content digest", digest or "none"),
    ]
    return [*rows, *(("", problem) for problem in (vouched or found).problems[:3])]


def _sealed_by(found: Verification) -> str:
    """Whose seal it is; whether that key counts is for those who have a list of keys."""
    if not found.sealed:
        return "not sealed"
    public = found.sealed.get("key")
    return f"sealed by key {key_id(str(public))}" if public else "sealed without a key"


def _anywhere(problems: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The same without the file's path, so that its report does not depend on where it lies."""
    for shown in (str(path), str(path.resolve())):
        problems = tuple(problem.removeprefix(f"{shown}: ") for problem in problems)
    return problems


def _file_name(path: Path, recorded: Any) -> str:
    """The file's name as it was recorded, so that a renamed copy has the same report."""
    return str(recorded).replace("\\", "/").rpartition("/")[2] if recorded else path.name


def _origin(run: Run) -> str:
    if run.origin is Origin.SIMULATED:
        faults = f"faults {', '.join(run.faults)}" if run.faults else "no faults"
        made = str(run.session.get("wall_start") or "")[:16].replace("T", " ")
        return f"simulated, seed {run.seed}, {faults}" + (f"; made {made} UTC" if made else "")
    return str(run.origin)


def _status(run: Run) -> str:
    reason = f": {run.status_reason}" if run.status_reason else ""
    return f"Run status: {run.status}{reason}."


def _record_banner(found: Verification, vouched: Vouched | None) -> str:
    if vouched is not None:
        why = vouched.problems[0] if vouched.problems else "it proves nothing"
        if not vouched.holds:
            return f"RECORD {vouched.state.upper()}: {why}"
        return f"SIGNATURES {NOT_PROVEN}: {why}" if any(vouched.worth) else ""
    if found.state in ("altered", "unreadable"):
        return f"RECORD {found.state.upper()}: {found.problems[0] if found.problems else 'it proves nothing'}"
    return ""


def _signing(run: Run, signed: Sequence[Mapping[str, Any]], vouched: Vouched | None) -> list[Block]:
    """Signatures with all that they say, the checklist that each answered, and room for those on paper."""
    blocks: list[Block] = []
    if run.origin is not Origin.MEASURED:
        blocks.append(Text("Only measured runs can be approved.", "warn"))
    if signed:
        headings = ("No", "Name", "Role", "Meaning", "When (UTC)", "Reason")
        rows = [_signature(row, why) for row, why in zip(signed, _worth(signed, vouched), strict=True)]
        blocks += [Table(headings, rows, (0, 2, 0, 0, 0, 4)), *_doubts(signed, vouched)]
    else:
        blocks.append(Text("The file holds no electronic signature."))
    for row in signed:
        answers = [_answer(one) for one in row.get("checklist") or ()]
        if answers:
            caption = f"Checklist of signature {row.get('number')}, {row.get('name')}"
            blocks.append(Table(("Item", "In the file", "Answer", "Note"), answers, (0, 4, 0, 3), caption=caption))
    return [*blocks, Text("On paper", "heading"), Signing(MEANINGS)]


def _signature(row: Mapping[str, Any], why: str) -> list[str | Cell]:
    """A line of the table of signatures; what is not proven says so in place of its meaning."""
    number, name, role, meaning, when, reason = (str(row.get(key, "")) for key in SIGNED)
    said = Cell(f"{NOT_PROVEN} ({meaning})", "bad", strong=True) if why else meaning
    return [number, name, role, said, when[:19].replace("T", " "), reason]


def _doubts(signed: Sequence[Mapping[str, Any]], vouched: Vouched | None) -> list[Block]:
    """Why signatures are not proven, or that nobody has looked."""
    if vouched is None:
        return [Text("The signatures were not checked: there is no list of keys and persons here.", "warn")]
    return [
        Text(f"Signature {row.get('number')}, {row.get('name')}: {NOT_PROVEN}: {why}", "bad")
        for row, why in zip(signed, _worth(signed, vouched), strict=True)
        if why
    ]


def _worth(signed: Sequence[Mapping[str, Any]], vouched: Vouched | None) -> list[str]:
    """Why each signature is not proven; empty where it is, or where nobody has looked."""
    if vouched is None:
        return [""] * len(signed)
    return [*vouched.worth, *["it was not checked"] * len(signed)][: len(signed)]


def _answer(one: Mapping[str, Any]) -> list[str]:
    """A line of a checklist: what was asked, what the file shows, what the person said of it."""
    accepted = "accepted" if one.get("accepted") else "not accepted"
    return [
        str(one.get("key") or "").replace("-", " "),
        str(one.get("text") or ""),
        accepted,
        str(one.get("note") or ""),
    ]


def _signed_line(signed: Sequence[Mapping[str, Any]], vouched: Vouched | None) -> str:
    """Who signed last, for the foot of every page, which has one line for it however many there are."""
    if not signed:
        return "no electronic signature"
    last = signed[-1]
    said = f"{last.get('name')} ({last.get('meaning')}, {str(last.get('when', ''))[:10]})"
    if _worth(signed, vouched)[-1]:
        said = f"{NOT_PROVEN}: {said}"
    if vouched is None:
        said += f", {NOT_CHECKED}"
    return f"signed: {said}" if len(signed) == 1 else f"{len(signed)} signatures, the last: {said}"
