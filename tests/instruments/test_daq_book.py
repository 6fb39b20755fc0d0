"""Tasks on a device server outlive a client that was killed; the file in which they are noted ends them."""

import pytest

from instruments.clock import WallClock
from instruments.daq_book import TaskBook
from instruments.daq_session import DaqSession
from instruments.instrument import DaqTarget
from instruments.simulation.daqserver.server import DaqServer

LINE = "cDAQ1Mod1/port0/line0"


@pytest.fixture
def server():
    made = DaqServer(WallClock(), {"cDAQ1Mod1": "NI 9472"}, {}).start()
    yield made
    made.close()


def drive(server, book):
    """A session with a task that holds the line."""
    session = DaqSession(DaqTarget(server.target, book=book), 10.0)
    task = session.task()
    task.do_channels.add_do_chan(LINE)
    task.start()
    return session


def test_the_tasks_of_a_killed_process_are_ended_by_the_next_one(server, tmp_path):
    killed = drive(server, TaskBook(tmp_path / "x.tasks"))  # which closes nothing
    drive(server, TaskBook(tmp_path / "x.tasks")).close()
    drive(server, TaskBook(tmp_path / "x.tasks")).close()
    killed.close()


def test_without_the_file_the_line_is_refused_to_everybody_else(server):
    killed = drive(server, None)
    with pytest.raises(Exception, match="-50103"):
        drive(server, None)
    killed.close()


def test_a_task_that_was_closed_is_not_found_and_the_file_does_not_grow(server, tmp_path):
    file = tmp_path / "deep" / "x.tasks"
    for _ in range(3):
        drive(server, TaskBook(file)).close()
    assert TaskBook(file).left() == []
    assert file.read_text("utf-8") == ""


def test_a_process_ends_what_it_found_once_and_never_its_own(tmp_path):
    file = tmp_path / "x.tasks"
    file.write_text("+a\n+b\n-a\n", "utf-8")
    book = TaskBook(file)
    assert book.left() == ["b"]
    book.note("c")
    assert book.left() == []


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "x.tasks").mkdir()
    book = TaskBook(tmp_path / "x.tasks")
    book.note("a")
    assert book.left() == []
