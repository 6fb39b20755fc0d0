"""Whatever is changed in a sealed run shows, and is named; a file that says the same in other bytes is told apart."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data.checks import Axis, Check, Curve, Evaluation, Verdict
from data.digest import combined, object_digests
from data.fold import fold
from data.hdf5 import RecordError
from data.keys import canonical
from data.layout import MAGIC, USER_BLOCK, write_evaluation
from data.seal import Verification, examine, read_seal, seal, verify

WriteRun = Callable[..., Path]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data.channels.CHUNK_ROWS", 500)  # so that there are compressed chunks
        path = fold(write_run(folder / "run.journal"), folder / "run.h5")
    check = Check("mean", "Mean flow error", 1.25, "%", Verdict.PASS, "dut", budget=(("balance", 0.1),))
    x = Axis("t", "s", np.arange(5.0))
    write_evaluation(path, Evaluation((check,), (Curve("flow", "Flow", x, (x,)),), (), {"a": 1.0}), code="c")
    seal(path)
    return path


@pytest.fixture
def copy(tmp_path: Path, sealed: Path) -> Path:
    return Path(shutil.copy(sealed, tmp_path / "copy.h5"))


def test_a_sealed_run_is_intact_wherever_it_lies(copy: Path, sealed: Path) -> None:
    said = read_seal(sealed)
    assert said is not None
    assert said["run_id"] == "r-1"
    assert verify(copy) == Verification(True, "intact", (), said["content"])


# -- what was changed


def one_bit(dataset: h5py.Dataset, row: int = 7) -> None:
    value = dataset[row : row + 1]
    dataset[row] = (value.view(f"u{value.itemsize}") ^ 1).view(value.dtype)[0]


def one_row_fewer(file: h5py.File) -> None:
    file["entry/daq/outlet"].resize((len(file["entry/daq/outlet"]) - 1,))


def another_text(dataset: h5py.Dataset, text: str) -> None:
    dataset[...] = text


def removed(group: h5py.Group, name: str) -> None:
    del group[name]


def added_link(file: h5py.File, link: Any) -> None:
    file["entry/daq/extra"] = link


Edit = Callable[[h5py.File], Any]

EDITS: dict[str, tuple[Edit, str]] = {
    "last bit of a sample": (lambda f: one_bit(f["entry/daq/outlet"]), "/entry/daq/outlet: was changed"),
    "last bit of a time": (lambda f: one_bit(f["entry/balance/time"]), "/entry/balance/time: was changed"),
    "quality": (lambda f: one_bit(f["entry/sensor/flow_quality"]), "/entry/sensor/flow_quality: was changed"),
    "units": (lambda f: f["entry/daq/outlet"].attrs.modify("units", "bar"), "/entry/daq/outlet: was changed"),
    "new attribute": (lambda f: f["entry/daq"].attrs.create("x", 1), "/entry/daq: was changed"),
    "attribute of the root": (lambda f: f.attrs.create("x", 1), "/: was changed"),
    "attribute removed": (lambda f: f["entry/daq"].attrs.pop("instrument"), "/entry/daq: was changed"),
    "rename": (lambda f: f["entry"].move("daq/bath", "daq/bad"), "/entry/daq/bad: was added"),
    "row removed": (one_row_fewer, "/entry/daq/outlet: was changed"),
    "dataset removed": (lambda f: removed(f["entry/records"], "answer"), "/entry/records/answer: was removed"),
    "extra group": (lambda f: f.create_group("entry/extra"), "/entry/extra: was added"),
    "extra group in the root": (lambda f: f.create_group("extra"), "/extra: was added"),
    "extra group that is named like one of ours": (lambda f: f.create_group("entry/seal"), "/entry/seal: was added"),
    "soft link": (lambda f: added_link(f, h5py.SoftLink("/entry/daq/bath")), "/entry/daq/extra: was added"),
    "external link": (lambda f: added_link(f, h5py.ExternalLink("x.h5", "/a")), "/entry/daq/extra: was added"),
    "hard link": (lambda f: added_link(f, f["entry/daq/bath"]), "/entry/daq/extra: was added"),
    "loop": (lambda f: added_link(f, f["entry"]), "/entry/daq/extra: was added"),
    "named type": (lambda f: added_link(f, np.dtype("<f8")), "/entry/daq/extra: was added"),
    "scale detached": (
        lambda f: f["entry/daq/outlet"].dims[0].detach_scale(f["entry/daq/time"]),
        "/entry/daq/outlet: was changed",
    ),
    "status": (lambda f: another_text(f["entry/status"], "aborted"), "/entry/status: was changed"),
    "parameter": (lambda f: f["entry/parameters/analysis_s"].write_direct(np.array(1.0)), "/analysis_s: was changed"),
    "text of an event": (
        lambda f: f["entry/records/answer/person"].__setitem__(0, "Eve"),
        "/entry/records/answer/person: was changed",
    ),
    "verdict": (lambda f: another_text(f["entry/evaluation/verdict"], "fail"), "/entry/evaluation/verdict: was"),
    "value of a check": (lambda f: one_bit(f["entry/evaluation/checks/value"], 0), "checks/value: was changed"),
    "a curve": (lambda f: one_bit(f["entry/evaluation/curves/flow/t_2"], 0), "curves/flow/t_2: was changed"),
    "session": (lambda f: another_text(f["session/host"], "there"), "/session: was changed"),
    "session removed": (lambda f: removed(f, "session"), "/session: was changed or removed"),
    "run id": (lambda f: another_text(f["session/run_id"], "r-2"), "/session: was changed"),
    "list of digests": (lambda f: f["seal/digest"].__setitem__(0, "0" * 64), "/seal: the list of digests was changed"),
    "list removed": (lambda f: removed(f, "seal"), "/seal: the list of digests was changed or removed"),
}


@pytest.mark.parametrize(("edit", "says"), list(EDITS.values()), ids=list(EDITS))
def test_every_edit_is_seen_and_named(copy: Path, edit: Edit, says: str) -> None:
    with h5py.File(copy, "r+") as file:
        edit(file)
    found = examine(copy)
    assert (found.intact, found.state) == (False, "altered")
    assert any(says in problem for problem in found.problems), found.problems


def test_an_edit_that_takes_its_traces_out_of_the_list_is_seen(copy: Path) -> None:
    """Value and list of digests changed together: the seal still knows."""
    with h5py.File(copy, "r+") as file:
        one_bit(file["entry/daq/outlet"])
        now = object_digests(file, ("signatures", "session", "seal"))
        file["seal/digest"][...] = [now[path.decode()] for path in file["seal/object"][:]]
    assert examine(copy).problems == (
        "/seal: the list of digests was changed or removed",
        "the content was changed; which object cannot be told",
    )


@pytest.mark.parametrize("key", ["run_id", "content", "session", "objects"])
def test_a_changed_seal_is_seen(copy: Path, key: str) -> None:
    said = read_seal(copy)
    assert said is not None
    said[key] = "0" * len(said[key])
    with copy.open("r+b") as file:
        file.write((MAGIC + canonical(said)).ljust(USER_BLOCK - 1) + b"\n")
    found = examine(copy)
    assert found.state == "altered"
    assert "the seal was changed" not in found.problems  # its bytes are those of a seal; what it says is not so


def test_the_seal_of_another_run_is_seen(
    copy: Path, tmp_path: Path, write_run: WriteRun, header: Mapping[str, Any]
) -> None:
    other = fold(write_run(tmp_path / "o", header={**header, "session": {"run_id": "r-2"}}), tmp_path / "other.h5")
    seal(other)
    copy.write_bytes(other.read_bytes()[:USER_BLOCK] + copy.read_bytes()[USER_BLOCK:])
    assert examine(copy).state == "altered"


LOOK = """
import sys
from pathlib import Path
from data.seal import examine
for path in sys.argv[1:]:
    print(examine(Path(path)).state, flush=True)
"""


def states(paths: list[Path]) -> list[str]:
    """State of each file; one at which the process dies or hangs is "broken", and the rest is looked at by the next."""
    found: list[str] = []
    while len(found) < len(paths):
        program = [sys.executable, "-P", "-c", LOOK, *map(str, paths[len(found) :])]
        try:
            said = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False).stdout
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode()
        found += said.split()
        if len(found) < len(paths):
            found.append("broken")
    return found


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, sealed: Path) -> None:
    chance = random.Random(4)
    whole = sealed.read_bytes()
    paths = []
    for number in range(40):
        data = bytearray(whole)
        data[chance.randrange(USER_BLOCK if number < 10 else len(data))] ^= 1 << chance.randrange(8)
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(data)
    found = states(paths)
    assert "intact" not in found
    assert found.count("altered") > 8


def test_random_bytes_in_place_of_others_never_pass(tmp_path: Path, sealed: Path) -> None:
    chance = random.Random(1)
    paths = []
    for number in range(15):
        data = bytearray(sealed.read_bytes())
        at = chance.randrange(USER_BLOCK, len(data) - 600)
        data[at : at + 600] = chance.randbytes(600)
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(data)
    assert "intact" not in states(paths)


# -- what was rewritten


def rewritten(source: Path, target: Path, **options: Any) -> None:
    """Copy every object into a new file with other chunks and filters, as h5repack does."""
    with h5py.File(source) as old, h5py.File(target, "w", userblock_size=USER_BLOCK, libver="latest") as new:
        scales: list[tuple[str, str]] = []

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                made = new.require_group(name)
            else:
                chunked = {} if item.size < 100 or item.dtype.kind == "O" else options
                big = item.dtype if item.dtype.kind == "O" else item.dtype.newbyteorder(">")
                made = new.create_dataset(name, data=item[()], dtype=big, **chunked)
                if item.is_scale:
                    made.make_scale(item.attrs["NAME"].decode())
                elif item.shape:
                    scales.append((name, item.dims[0][0].name))
            copy_attributes(item, made)

        copy_attributes(old, new)
        old.visititems(copy)
        for name, scale in scales:
            new[name].dims[0].attach_scale(new[scale])
    target.write_bytes(source.read_bytes()[:USER_BLOCK] + target.read_bytes()[USER_BLOCK:])


def copy_attributes(old: Any, new: Any) -> None:
    for name, value in old.attrs.items():
        if name not in ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"):
            new.attrs[name] = value


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (100,), "compression": "gzip"}, {"chunks": True, "compression": "lzf"}], ids=str
)
def test_other_bytes_that_say_the_same_are_rewritten_not_altered(
    tmp_path: Path, sealed: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "packed.h5"
    rewritten(sealed, path, **options)
    found = examine(path)
    assert (found.intact, found.state) == (False, "rewritten")
    seal_says = read_seal(sealed)
    assert seal_says is not None
    assert found.digest == seal_says["content"]


def test_bytes_behind_the_file_are_seen(copy: Path) -> None:
    with copy.open("ab") as file:
        file.write(b"x")
    assert examine(copy).state == "rewritten"


# -- what cannot be judged


def test_a_run_that_was_never_sealed_says_so(tmp_path: Path, write_run: WriteRun) -> None:
    path = fold(write_run(tmp_path / "a"), tmp_path / "a.h5", incomplete=True)
    found = examine(path)
    assert found.state == "altered"
    assert "carries no seal" in found.problems[0]
    assert len(found.digest) == 64


def test_a_damaged_seal_says_so(copy: Path) -> None:
    with copy.open("r+b") as file:
        file.seek(len(MAGIC))
        file.write(b"}")
    assert examine(copy).problems == (f"{copy}: the seal is damaged",)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "is cut off; make it again"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "is cut off; make it again"),
        (lambda path: path.write_bytes(b""), "is not HDF5"),
        (lambda path: path.write_text("time,mass\n"), "is not HDF5"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(copy: Path, damage: Callable[[Path], Any], says: str) -> None:
    damage(copy)
    found = verify(copy)
    assert (found.intact, found.state, found.digest) == (False, "unreadable", "")
    assert len(found.problems) == 1
    assert says in found.problems[0]
    assert str(copy) in found.problems[0]


def test_a_foreign_hdf5_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = 1
    assert "no run of pumpbench" in examine(path).problems[0]
    with pytest.raises(RecordError, match="no run of pumpbench"):
        seal(path)


def test_a_file_that_takes_for_ever_is_given_up(copy: Path) -> None:
    found = verify(copy, patience_s=0.001)
    assert found.state == "unreadable"
    assert "did not end within 0.001 s" in found.problems[0]


def test_a_run_is_sealed_once(copy: Path) -> None:
    with pytest.raises(RecordError, match="is sealed already"):
        seal(copy)


# -- the digest itself


def test_the_digest_does_not_change_between_releases(tmp_path: Path) -> None:
    """Runs that were sealed years ago must verify: this number may never change."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["text"] = "µ"
        file["f8"] = np.arange(5.0)
        file["f8"].make_scale("x")
        file["i2"] = np.arange(5, dtype=">i2")
        file["i2"].dims[0].attach_scale(file["f8"])
        file["words"] = ["a", "bc"]
        file["record"] = np.array([(1, b"ab", 2.0)], dtype=[("a", "<i4"), ("b", "S4"), ("c", ">f8")])
        file["enum"] = np.array([True, False])
        file["empty"] = h5py.Empty("f4")
        file["group/soft"] = h5py.SoftLink("/f8")
        digest = combined(object_digests(file))
    assert digest == "15bacb1955564c751013318a132179fec2358d57284e4da1edd9d3408b5f1dfb"


def test_a_reference_counts_as_the_path_of_its_target(tmp_path: Path) -> None:
    """Also where the target has two paths, is the root itself, or is gone; the digest is as old as the format."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.arange(3.0)
        file["g/b"] = np.arange(3.0)
        file["refs"] = np.array([file["g/b"].ref, file["a"].ref, file.ref], dtype=h5py.ref_dtype)
        file["region"] = np.array([file["g/b"].regionref[1:2]], dtype=h5py.regionref_dtype)
        file.create_dataset("none", (2,), dtype=h5py.ref_dtype)
        found = [object_digests(file)["/refs"]]
        file["g/c"] = file["g/b"]
        found.append(object_digests(file)["/refs"])
        file.move("a", "z")
        found.append(object_digests(file)["/refs"])
        del file["z"]
        found.append(object_digests(file)["/refs"])
        whole = combined(object_digests(file))
    assert found[0] == found[1]
    assert len(set(found[1:])) == 3
    assert whole == "7d2801465a6258c2f347958726c3786baa14890422a677c749bc0e5ba45a7c5c"
