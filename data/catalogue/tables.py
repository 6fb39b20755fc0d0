"""The tables of the catalogue.  Every one can be made again from the run files."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1
"""Whoever changes a table raises it; a catalogue of another version is made anew."""

META = MetaData()

ABOUT = Table("about", META, Column("version", Integer, nullable=False))

RUNS = Table(
    "runs",
    META,
    Column("id", Integer, primary_key=True),
    Column("computer", String, nullable=False),  # whose path it is: several benches share a catalogue
    Column("path", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("run_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("bytes_digest", String, nullable=False),
    Column("title", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("method", Integer, nullable=False),
    Column("station", String, nullable=False),
    Column("dut_model", String, nullable=False),
    Column("dut_serial", String, nullable=False),
    Column("dut_lot", String, nullable=False),
    Column("fluid", String, nullable=False),
    Column("fluid_lot", String, nullable=False),
    Column("catheter", String, nullable=False),
    Column("catheter_lot", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("status", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("start", String, nullable=False),  # in UTC, of equal length, so that they sort by time
    Column("made", String, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("person", String, nullable=False),
    Column("software", String, nullable=False),
    Column("code", String, nullable=False),
    Column("review", String, nullable=False),
    Column("set_rate_ul_per_h", Float),
    UniqueConstraint("computer", "path"),
    Index("runs_made", "made"),
    Index("runs_run_id", "run_id"),
    Index("runs_dut_serial", "dut_serial"),
)

PARAMS = Table(
    "params",
    META,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("json", Text, nullable=False),
)

CHECKS = Table(
    "checks",
    META,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("title", String, nullable=False),
    Column("value", Float),
    Column("u_expanded", Float),
    Column("k", Float),
    Column("limit_low", Float),
    Column("limit_high", Float),
    Column("unit", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("optional", Boolean, nullable=False),
    Index("checks_name", "name"),
)

INSTRUMENTS = Table(
    "instruments",
    META,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("instrument", String, nullable=False),
    Column("driver", String, nullable=False),
    Column("maker", String, nullable=False),
    Column("model", String, nullable=False),
    Column("serial", String, nullable=False),
    Column("firmware", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("certificate", String, nullable=False),
    Column("due", String, nullable=False),
    Column("relied_on", String, nullable=False),
    Index("instruments_serial", "serial"),
)

PARTS = (PARAMS, CHECKS, INSTRUMENTS)
"""Tables with rows of a run."""
