"""The report of a campaign on paper: its plan, every attempt, what the results say together, and what is missing.

The catalogue says which runs there are; each file that is at hand is verified anew.  The same plan, runs and register
give the same bytes.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.campaign.plan import Campaign
from bench.campaign.progress import RECORD_MISSING, Course, Progress
from bench.campaign.records import JUDGED, PASSED
from bench.campaign.report import Agreement, Interval, Summary, status_json
from bench.campaign.report import Report as Figures
from bench.trust.ledger import REGISTER, rows_of, unclosed
from bench.trust.review import state_of
from bench.trust.standing import standing
from data.catalogue.entry import MISSING
from data.catalogue.store import Line
from data.checks import Origin, Verdict
from data.report.blocks import Block, Cell, Pairs, Plot, Report, Section, Signing, Table, Text, Tone
from data.report.content import BANNERS
from data.report.figures import Drawing
from data.report.spread import Column, spread
from data.report.wording import SIGNS, TONES, as_json, number, plain, with_unit
from protocols.analysis.tolerance import PassRate

MEANINGS = ("Planned by", "Reviewed by", "Approved by")
NOT_HERE, FILE_GONE = "not here", "file gone"

FAULTLESS = ((0.90, 29), (0.95, 59))
"""So many runs without a failure prove with 95 % confidence that such a share passes."""

DATA_SAYS = "The campaign as data: its plan, every attempt, and the figures at full precision"


@dataclass(frozen=True, slots=True)
class Known:
    """What register and file say of an attempt: its number, what `standing` finds, and where its review stands."""

    number: str = "–"
    record: str = NOT_HERE
    review: str = ""


@dataclass(frozen=True, slots=True)
class Papers:
    """A campaign with all that is known of its runs; ``never`` began on its pumps and were never closed."""

    file: Path
    progress: Progress
    figures: Figures
    known: Mapping[str, Known]
    never: Sequence[Mapping[str, Any]]

    def of(self, run: Line) -> Known:
        """What is known of an attempt."""
        return self.known[run.run_id]


def papers_of(file: Path, progress: Progress, figures: Figures, home: Path) -> Papers:
    """Verify every attempt whose file is on this computer, and look it up in the register; takes a second a run."""
    rows, _ = rows_of(home, REGISTER)
    numbers = {str(row["run_id"]): f"{row['station']} {row['run_number']}" for row in rows if "run_number" in row}
    runs = [run for course in progress.courses for run in course.attempts] + [run for run, _ in progress.unplanned]
    plan, serials = progress.campaign, {dut.serial for dut in progress.campaign.duts}
    never = [
        row
        for row in unclosed(rows)
        if (row["procedure"], row["origin"]) == (plan.protocol, plan.origin)
        and row["dut"] in serials
        and datetime.fromisoformat(row["when"]) >= plan.since
    ]
    return Papers(file, progress, figures, {run.run_id: _known(run, numbers, home) for run in runs}, never)


def paper(papers: Papers, program: str) -> tuple[Report, list[Drawing], str]:
    """The report, its drawings, and the campaign as JSON; for `data.report.typeset.pdf_of`."""
    drawings = list(_drawings(papers.figures.summaries))
    return _report(papers, drawings, program), drawings, as_json(_data(papers))


# -- what is known of the runs


def _known(run: Line, numbers: Mapping[str, str], home: Path) -> Known:
    number_of = numbers.get(run.run_id, "–")
    if run.kind == MISSING:
        return Known(number_of, FILE_GONE, run.review)
    if run.computer != platform.node() or not Path(run.path).is_file():
        return Known(number_of, NOT_HERE, run.review)
    found = standing(Path(run.path), home)
    same = not found.digest or found.digest == run.digest
    return Known(number_of, found.state if same else "another file", state_of(found))


def _data(papers: Papers) -> dict[str, Any]:
    progress = papers.progress
    known = {run_id: asdict(one) for run_id, one in papers.known.items()}
    digests = {run.run_id: run.digest for course in progress.courses for run in course.attempts}
    digests |= {run.run_id: run.digest for run, _ in progress.unplanned}
    return {
        **status_json(progress),
        "plan": progress.campaign.model_dump(mode="json"),
        "plan_sha256": _sha256(papers.file),
        "figures": asdict(papers.figures),
        "runs": {run_id: {**said, "digest": digests[run_id]} for run_id, said in known.items()},
        "never_closed": list(papers.never),
    }


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# -- the report


def _report(papers: Papers, drawings: Sequence[Drawing], program: str) -> Report:
    progress, figures = papers.progress, papers.figures
    plan, missing = progress.campaign, list(_missing(papers))
    attempts = [run for course in progress.courses for run in course.attempts]
    moment = max([datetime.fromisoformat(run.made) for run in attempts] + [plan.since]).astimezone(UTC)
    plots: list[Block] = [Plot(at, drawing.caption, drawing.alt) for at, drawing in enumerate(drawings)]
    return Report(
        title="Campaign report",
        subject=plan.title,
        moment=(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second),
        run_id="",
        digest=_sha256(papers.file),
        banner=" · ".join(filter(None, (BANNERS.get(Origin(plan.origin), ""), _unapproved(progress)))),
        verdict=_verdict(figures.runs).upper(),
        tone=_tone(figures, missing),
        verdict_lines=list(_verdict_lines(papers, missing)),
        footer=(
            f"campaign {plan.title} · {plan.origin} · {_verdict(figures.runs)}",
            f"plan {papers.file.name}, SHA-256 {_sha256(papers.file)}",
        ),
        sections=[
            Section("", [Pairs(_plan(papers))]),
            Section("What is missing", [_list(missing, _complete(plan))]),
            Section("Results", [*_results(figures), *plots]),
            Section("Agreement of repeated runs", list(_agreement(papers))),
            Section("Every attempt", list(_attempts(papers))),
            Section("Signatures", [Text("On paper", "heading"), Signing(MEANINGS)]),
        ],
        program=program,
        document=f"Campaign report: {plan.title}",
        data_name="campaign.json",
        data_says=DATA_SAYS,
    )


def _verdict(runs: PassRate) -> str:
    return f"{runs.passed} of {runs.judged} runs passed" if runs.judged else "no run has a verdict"


def _tone(figures: Figures, missing: Sequence[str]) -> Tone:
    if figures.runs.passed < figures.runs.judged:
        return "bad"
    return "warn" if missing or not figures.runs.judged else "good"


def _verdict_lines(papers: Papers, missing: Sequence[str]) -> Iterator[str]:
    progress, figures = papers.progress, papers.figures
    made = sum(course.result is not None for course in progress.courses)
    yield f"{made} of {len(progress.courses)} runs of the plan have a verdict; missing: {len(missing)}."
    for what, rate in (("runs", figures.runs), ("pumps", figures.pumps)):
        if rate.judged:
            yield f"{rate.passed} of {rate.judged} {what} passed: with 95 % confidence at least {100 * rate.low:.1f} %."
    repeated = sum(len(course.attempts) > 1 for course in progress.courses)
    beside, never = len(progress.unplanned), len(papers.never)
    yield f"Runs that were repeated: {repeated}; not of the plan: {beside}; begun and never closed: {never}."


def _unapproved(progress: Progress) -> str:
    plan = progress.campaign
    if not plan.approved_by:
        return "NOT APPROVED: nobody approved this plan"
    first = min((run.made for course in progress.courses for run in course.attempts), default="")
    if plan.approved_on is not None and first and first[:10] < plan.approved_on.isoformat():
        return f"APPROVED LATE: on {plan.approved_on}, after the first run of {first[:10]}"
    return ""


def _plan(papers: Papers) -> list[tuple[str, str]]:
    plan: Campaign = papers.progress.campaign
    attempts = [run for course in papers.progress.courses for run in course.attempts]
    methods = ", ".join(str(one) for one in sorted({run.method for run in attempts})) or "–"
    approved = f"{plan.approved_by}, {plan.approved_on}" if plan.approved_by else "nobody"
    return [
        ("Campaign", plan.title),
        ("Protocol", f"{plan.protocol}, method {methods}"),
        ("Pumps", ", ".join(f"{dut.serial} ({dut.model})" for dut in plan.duts)),
        ("Rates", ", ".join(plan.rates)),
        (
            "Replicates",
            f"{plan.replicates}; {len(papers.progress.courses)} runs in the order of seed {plan.order_seed}",
        ),
        ("Settings", plain(plan.settings)),
        ("Summed up", ", ".join(plan.checks)),
        ("Station", plan.station or "any"),
        ("Counts", f"{plan.origin} runs that began from {plan.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC on"),
        ("Approved by", approved),
        ("Plan", f"{papers.file.name}, SHA-256 {_sha256(papers.file)}"),
    ]


def _list(lines: Sequence[str], otherwise: str) -> Block:
    if not lines:
        return Text(otherwise)
    return Table(("No", "What"), [[str(at), line] for at, line in enumerate(lines, 1)], (0, 1))


def _complete(plan: Campaign) -> str:
    approved = (
        ", intact and approved" if plan.origin == "measured" else " and intact; only measured runs can be approved"
    )
    return f"Nothing: every run of the plan is made{approved}."


def _missing(papers: Papers) -> Iterator[str]:
    progress = papers.progress
    if said := _unapproved(progress):
        yield said.partition(": ")[2]
    for course in progress.courses:
        cell, state = course.cell, course.state
        named = f"run {cell.number} of the plan, {cell.serial} at {cell.rate}, replicate {cell.replicate}"
        if state == "open":
            yield f"{named}: not made"
        elif state == "re-test":
            yield f"{named}: another attempt is granted, and not made"
        elif state == RECORD_MISSING:
            yield f"{named}: held, the record of {' and '.join(run.place for run in course.lost)} is missing"
        elif course.result is None:
            yield f"{named}: ended without a verdict ({course.attempts[-1].verdict or course.attempts[-1].status})"
        measured = progress.campaign.origin == "measured"  # only such a run can be approved
        if course.result is not None and measured and papers.of(course.result).review != "approved":
            yield f"{named}: {_name(course.result)} is {papers.of(course.result).review or 'unreviewed'}, not approved"
        for run in course.attempts:
            if papers.of(run).record != "intact":
                yield f"{named}: {_name(run)} is {papers.of(run).record}"
    for lost in progress.lost:
        yield lost.said
    for run, why in progress.others:
        yield f"{_name(run)} ({run.verdict or 'no verdict'}) is {why}"
    for row in papers.never:
        yield (
            f"run {row['run_number']} of station {row['station']}, {row['dut']}, began on {str(row['when'])[:10]} and "
            f"was never closed: {Path(row['path']).name}"
        )


# -- results


def _results(figures: Figures) -> Iterator[Block]:
    if not figures.summaries:
        yield Text("No run has a result yet.")
        return
    headings = ("Check", "Rate", "Pumps", "Runs", "Mean", "s", "s within", "Limits", "Holds 90 %", "Holds 95 %")
    rows = [_summary(one) for one in figures.summaries]
    yield Table(headings, rows, (3, 2, 0, 0, 2, 0, 0, 2, 3, 3), (2, 3))
    yield Text(
        "Mean and s are of pumps: the replicates of a pump are first averaged; s within is their own pooled scatter. "
        "The intervals hold 90 % and 95 % of all pumps with 95 % confidence if pumps are normally distributed, by the "
        "exact two-sided factor k (ISO 16269-6:2014).",
        "muted",
    )
    rates = (("runs", figures.runs), ("pumps", figures.pumps))
    yield Table(
        ("Passed", "Of", "What", "At least, with 95 % confidence", "Without a failure it would take"),
        [
            [str(rate.passed), str(rate.judged), what, f"{100 * rate.low:.1f} %", _faultless(rate)]
            for what, rate in rates
        ],
        (0, 0, 1, 3, 4),
        (0, 1),
        caption="Share that passes (Clopper and Pearson)",
    )


def _summary(one: Summary) -> list[str | Cell]:
    sd, within = (("–" if value is None else number(value, 3)) for value in (one.sd, one.within_sd))
    low, high = (None if limit is None else number(limit, 4) for limit in one.limits)
    limits = "none" if low is None and high is None else f"{low or '−∞'} to {high or '∞'}"
    intervals = [_interval(interval) for interval in one.intervals] or [Cell("two pumps make one", "muted")] * 2
    mean = with_unit(number(one.mean, 4), one.unit)
    return [one.check, one.rate, str(len(one.values)), str(one.runs), mean, sd, within, limits, *intervals]


def _interval(one: Interval) -> Cell:
    tone: Tone = "" if one.within_limits is None else "good" if one.within_limits else "bad"
    word = {None: "", True: ", within", False: ", BEYOND"}[one.within_limits]
    return Cell(f"{number(one.low, 4)} to {number(one.high, 4)}, k {one.k:.3f}{word}", tone)


def _faultless(rate: PassRate) -> str:
    if rate.passed < rate.judged:
        return "– (there was a failure)"
    more = [f"{max(0, n - rate.judged)} more for {100 * share:.0f} %" for share, n in FAULTLESS]
    return ", ".join(more)


def _drawings(summaries: Sequence[Summary]) -> Iterator[Drawing]:
    by: dict[str, list[Summary]] = {}
    for one in summaries:
        by.setdefault(one.check, []).append(one)
    for check, several in by.items():
        columns = [Column(one.rate, one.values, one.mean, _widest(one), one.limits) for one in several]
        yield spread(check, several[0].unit, columns, "95 % of all pumps with 95 % confidence")


def _widest(one: Summary) -> tuple[float, float] | None:
    return (one.intervals[-1].low, one.intervals[-1].high) if one.intervals else None


def _agreement(papers: Papers) -> Iterator[Block]:
    there = papers.figures.agreements
    if not there:
        yield Text("No pump was run twice at one rate.")
        return
    attempts = [run for course in papers.progress.courses for run in course.attempts]
    names = {run.run_id: papers.of(run).number.replace("–", _name(run)) for run in attempts}
    headings = ("What", "Check", "Pump", "Rate", "Earlier", "Later", "Difference", "En", "")
    yield Table(headings, [_agreed(one, names) for one in there], (0, 2, 0, 0, 3, 3, 0, 0, 0), (6, 7))
    yield Text(
        "En is the difference over the root of the sum of both U² (ISO 13528); up to 1 the two agree. What both runs "
        "have in common, such as the balance, is in each U and not in their difference: results of one rig agree "
        "more easily than U says.",
        "muted",
    )


def _agreed(one: Agreement, names: Mapping[str, str]) -> list[str | Cell]:
    earlier, later = (names[run] for run in one.runs)
    difference = with_unit(number(one.values[1] - one.values[0], 3), one.unit)
    if one.en is None:
        word = Cell("U is not stated", "muted")
    else:
        word = Cell("agree", "good") if abs(one.en) <= 1.0 else Cell("DISAGREE", "bad", strong=True)
    en = "–" if one.en is None else number(one.en, 2)
    return [one.kind, one.check, one.serial, one.rate, earlier, later, difference, en, word]


# -- attempts


def _attempts(papers: Papers) -> Iterator[Block]:
    progress = papers.progress
    rows: list[list[str | Cell]] = [row for course in progress.courses for row in _course(papers, course)]
    headings = ("No", "Pump", "Rate", "Repl.", "Att.", "Run", "Made (UTC)", "Verdict", "Counts", "Record", "Review")
    yield Table(headings, rows, (0, 2, 2, 0, 0, 2, 0, 3, 0, 2, 2), (0, 3, 4))
    yield Text(
        "The result of a pump at a rate is the first attempt that judged it; a re-test is granted beforehand, with a "
        "reason, and never takes its place. Run is the number that the station gave before anything moved.",
        "muted",
    )
    granted = [
        [_name(run), retest.person, f"{retest.at.astimezone(UTC):%Y-%m-%d %H:%M}", retest.reason]
        for course in progress.courses
        for run in course.attempts
        for retest in course.retests
        if retest.run == run.run_id
    ]
    if granted:
        yield Table(("After", "Granted by", "When (UTC)", "Reason"), granted, (3, 2, 0, 4), caption="Re-tests granted")
    if progress.unplanned:
        beside: list[list[str | Cell]] = [
            [papers.of(run).number, _name(run), run.made[:16].replace("T", " "), _worded(run), said]
            for run, said in progress.unplanned
        ]
        why = ("Run", "File", "Made (UTC)", "Verdict", "Why it does not count")
        yield Table(why, beside, (2, 4, 0, 2, 4), caption="Not of the plan")
    if progress.others:
        second: list[list[str | Cell]] = [
            [_name(run), run.made[:16].replace("T", " "), _worded(run), run.digest or "not sealed", said]
            for run, said in progress.others
        ]
        heads = ("File", "Made (UTC)", "Verdict", "Content digest", "Why it does not count")
        yield Table(heads, second, (4, 0, 2, 0, 4), caption="Other files of these runs")
    runs = [run for course in progress.courses for run in course.attempts] + [run for run, _ in progress.unplanned]
    if runs:
        digests = [[papers.of(run).number, _name(run), run.digest or "not sealed"] for run in runs]
        yield Table(("Run", "File", "Content digest"), digests, (0, 2, 0), caption="Files")


def _course(papers: Papers, course: Course) -> Iterator[list[str | Cell]]:
    cell = course.cell
    plan: list[str | Cell] = [str(cell.number), cell.serial, cell.rate, str(cell.replicate)]
    if not course.attempts:
        yield [*plan, "–", "–", "–", Cell(course.state, "muted"), "", "", ""]
    for at, run in enumerate(course.attempts, 1):
        known = papers.of(run)
        counts = "yes" if run is course.result else "no"
        record = Cell(known.record, "" if known.record == "intact" else "warn")
        made = run.made[:16].replace("T", " ")
        yield [*plan, str(at), known.number, made, _worded(run), counts, record, known.review or "unreviewed"]


def _worded(run: Line) -> Cell:
    if run.verdict not in {str(one) for one in Verdict}:
        return Cell(run.status or "no verdict", "muted")
    tone = TONES[Verdict(run.verdict)]
    ended = "" if run.status in ("completed", "") else f" ({run.status})"
    strong = run.verdict in JUDGED and run.verdict not in PASSED
    return Cell(f"{SIGNS[tone]}{run.verdict}{ended}", tone, strong=strong)


def _name(run: Line) -> str:
    return run.path.replace("\\", "/").rpartition("/")[2]
