"""A plot against time draws what is there, follows it, and obeys mouse and keys."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QGridLayout, QWidget

from data.samples import FloatArray
from gui.plots import canvas
from gui.plots.canvas import Span
from gui.plots.picture import free_path
from gui.plots.pyramid import Drawn, Pyramid
from gui.plots.strokes import broken_at_pauses, stepped
from gui.plots.time_plot import TimePlot
from gui.presenters.context import Context
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import LIGHT


def points(t: FloatArray, y: FloatArray) -> Pyramid:
    made = Pyramid()
    made.extend(t, y)
    return made


T = np.arange(0.0, 1000.0, 0.1)


@pytest.fixture
def curve() -> Pyramid:
    return points(T, 20.0 + np.sin(T / 50.0))


@pytest.fixture
def plot(qtbot: Any, context: Context, curve: Pyramid) -> TimePlot:
    look().apply("light", "desk")
    made = TimePlot("Flow", "uL/h", context)
    qtbot.addWidget(made)
    made.curve("balance", "Balance", 0, curve)
    made.resize(700, 420)
    with qtbot.waitExposed(made):
        made.show()
    made.redraw()
    return made


def key(plot: TimePlot, *keys: Qt.Key) -> None:
    for one in keys:
        QTest.keyClick(plot.canvas, one)
    plot.redraw()


def image(widget: QWidget) -> QImage:
    return widget.grab().toImage()


def count(picture: QImage, colour: str) -> int:
    data = picture.convertToFormat(QImage.Format.Format_RGB32)
    bits = data.constBits()
    assert bits is not None
    array = np.frombuffer(bits.asarray(data.sizeInBytes()), np.uint32) & 0xFFFFFF
    return int((array == (QColor(colour).rgb() & 0xFFFFFF)).sum())


def at(plot: TimePlot, t: float, y: float) -> QPoint:
    scene = plot.canvas.hands.mapViewToScene(QPointF(t, y))
    return plot.canvas.mapFromScene(scene)


def drag(plot: TimePlot, button: Qt.MouseButton, begin: QPoint, end: QPoint) -> None:
    viewport = plot.canvas.viewport()
    QTest.mousePress(viewport, button, pos=begin)
    for share in (0.3, 0.6, 1.0):
        spot = QPointF(begin) + (QPointF(end) - QPointF(begin)) * share
        moved = QMouseEvent(
            QEvent.Type.MouseMove,
            spot,
            QPointF(viewport.mapToGlobal(spot.toPoint())),
            Qt.MouseButton.NoButton,
            button,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(viewport, moved)
        QTest.qWait(20)  # pyqtgraph heeds only some moves a second
    QTest.mouseRelease(viewport, button, pos=end)
    plot.redraw()


def test_the_name_of_a_stretch_is_read_on_a_dense_curve_too(plot: TimePlot) -> None:
    noise = np.tile([0.0, 40.0], len(T) // 2)
    plot.curve("balance", "Balance", 0, points(T, noise))
    plot.spans((Span(0.0, 1000.0, "settling", Tone.PLAIN),))
    plot.redraw()
    plot.canvas.show_range((0.0, 1000.0), (10.0, 30.0))
    area = plot.canvas.hands.sceneBoundingRect().toRect()
    picture = image(plot.canvas)
    name, beside = (picture.copy(area.left() + 6 + x, area.top() + 4, 30, 8) for x in (0, 100))
    assert count(name, LIGHT.curves[0].colour) == 0 < count(beside, LIGHT.curves[0].colour)


def test_of_many_samples_in_a_pixel_the_read_out_tells_from_which_to_which(plot: TimePlot, curve: Pyramid) -> None:
    noise = points(T, np.tile([10.0, 30.0], len(T) // 2))
    plot.curve("balance", "Balance", 0, noise.view)  # of a file
    plot.redraw()
    assert plot.read(500.0) == [("Balance", "10.00 to 30.00\u202fµL/h")]
    assert plot.read(1200.0) == [("Balance", "–")]
    plot.time.show(500.0, 510.0)
    plot.redraw()
    assert plot.read(505.04) == [("Balance", "10.00\u202fµL/h")], "each sample is seen"


def test_a_curve_is_seen_in_the_pen_of_its_number(plot: TimePlot) -> None:
    assert count(image(plot.canvas), look().scheme.curves[0].colour) > 300


def test_the_value_of_now_and_the_last_values_are_told(plot: TimePlot, curve: Pyramid) -> None:
    curve.extend(np.array([1000.0]), np.array([20.91]))
    plot.redraw()
    assert plot.head.value.text() == "20.91"
    assert plot.accessibleDescription() == "Balance: 20.91\u202fµL/h"
    plot.value("20.9 held")
    assert plot.head.value.text() == "20.9 held"


def test_a_value_that_is_not_known_is_told_to_a_screen_reader_too_and_has_no_unit(plot: TimePlot) -> None:
    plot.curve("flow", "Flow sensor", 1, points(T, np.full_like(T, 19.5)))
    plot.redraw()
    plot.value("not known")
    assert plot.accessibleDescription() == "Balance: not known; Flow sensor: 19.50\u202fµL/h"
    assert not plot.head.unit.isVisible()
    plot.value(None)
    assert "not known" not in plot.accessibleDescription()
    assert plot.head.unit.isVisible()


def test_the_view_follows_what_comes_until_somebody_zooms(plot: TimePlot, curve: Pyramid) -> None:
    assert plot.time.t1 >= 999.9
    key(plot, Qt.Key.Key_Plus)
    shown = (plot.time.t0, plot.time.t1)
    assert plot.tools is not None
    assert plot.tools.live.isVisible()
    curve.extend(T + 1000.0, np.full(len(T), 20.0))
    plot.redraw()
    assert (plot.time.t0, plot.time.t1) == shown
    plot.tools.live.click()
    plot.redraw()
    assert plot.time.t1 >= 1999.9
    assert not plot.tools.live.isVisible()


def test_what_is_hidden_asks_for_nothing_and_what_has_not_changed_is_not_asked_for_again(
    plot: TimePlot, qtbot: Any
) -> None:
    asked: list[tuple[float, float, int]] = []

    def ask(t0: float, t1: float, columns: int) -> Drawn:
        asked.append((t0, t1, columns))
        return Drawn(np.array([t0, t1]), np.array([20.0, 21.0]), True)

    plot.curve("other", "Other", 1, ask)
    plot.redraw()
    plot.redraw()
    assert len(asked) == 1
    plot.changed("other")
    plot.redraw()
    assert len(asked) == 2
    plot.hide()
    plot.changed("other")
    plot.redraw()
    assert len(asked) == 2
    plot.show()
    qtbot.waitUntil(lambda: len(asked) == 3)


def test_samples_beyond_what_is_shown_do_not_have_it_drawn_anew(plot: TimePlot, curve: Pyramid) -> None:
    plot.time.show(100.0, 200.0)
    plot.redraw()
    drawn = plot._curves["balance"].drawn
    curve.extend(np.array([1000.0]), np.array([5.0]))
    plot.redraw()
    assert plot._curves["balance"].drawn is drawn


def test_what_is_held_is_not_drawn_anew_and_catches_up(plot: TimePlot, curve: Pyramid) -> None:
    key(plot, Qt.Key.Key_Space)
    drawn = plot._curves["balance"].drawn
    curve.extend(T + 1000.0, np.full(len(T), 20.0))
    plot.redraw()
    assert plot._curves["balance"].drawn is drawn
    key(plot, Qt.Key.Key_Space)
    assert plot.time.t1 >= 1999.9


def test_every_sample_in_view_is_within_the_values_shown(plot: TimePlot, curve: Pyramid) -> None:
    curve.extend(np.array([1000.0, 1000.1]), np.array([120.0, 20.0]))
    plot.redraw()
    low, high = plot.canvas.hands.viewRange()[1]
    assert low < 19.0
    assert high > 120.0
    plot.time.show(100.0, 300.0)
    plot.redraw()
    assert plot.canvas.hands.viewRange()[1][1] < 25.0


def test_noise_in_the_last_digit_does_not_fill_the_plot(qtbot: Any, context: Context) -> None:
    plot = TimePlot("Pressure", "kPa", context, digits=2)
    qtbot.addWidget(plot)
    plot.curve("outlet", "Outlet", 0, points(T, 0.5 + 0.01 * np.sin(T)))
    plot.show()
    plot.redraw()
    low, high = plot.canvas.hands.viewRange()[1]
    assert high - low >= 1.0
    assert low < 0.49 < 0.51 < high


def test_the_name_of_a_limit_out_of_view_is_not_written_over_that_of_a_phase(
    plot: TimePlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: dict[str, QRectF] = {}
    monkeypatch.setattr(canvas, "_draw_word", lambda painter, room, text, colour: places.update({text: room}))
    plot.limits([("outlet-pressure, high", 9e3), ("outlet-pressure, burst", 9e4)])
    plot.spans([Span(0.0, 1e6, "stabilisation", Tone.PLAIN), Span(0.0, 1e6, "excluded", Tone.WARN)])
    image(plot.canvas)
    assert len(places) == 4
    assert not [(one, two) for one, two in combinations(places, 2) if places[one].intersects(places[two])]


def test_a_limit_nearby_is_brought_into_view_and_one_far_off_leaves_the_curve_its_room(plot: TimePlot) -> None:
    plot.limits([("Limit 22", 22.0), ("Burst", 300.0)])
    plot.fit_y()
    plot.redraw()
    assert 22.0 < plot.canvas.hands.viewRange()[1][1] < 30.0
    assert count(image(plot.canvas), look().scheme.limit.colour) > 150


def test_keys_alone_pan_zoom_read_and_show_all(plot: TimePlot) -> None:
    whole = (plot.time.t0, plot.time.t1)
    key(plot, Qt.Key.Key_Plus, Qt.Key.Key_Right)
    assert plot.time.t0 > whole[0]
    key(plot, Qt.Key.Key_C)
    assert plot.time.cursor is not None
    before = plot.time.cursor
    key(plot, Qt.Key.Key_Left)
    assert plot.time.cursor < before
    assert plot.read_out.isVisible()
    key(plot, Qt.Key.Key_Up)
    assert plot._y_is_free
    key(plot, Qt.Key.Key_Home)
    assert (plot.time.t0, plot.time.t1) == whole
    assert not plot._y_is_free


def test_the_cursor_reads_every_curve_and_what_is_marked_there(plot: TimePlot) -> None:
    plot.curve("plan", "Schedule", "schedule", points(np.array([0.0, 500.0]), np.array([10.0, 20.0])), step=True)
    plot.spans([Span(400.0, 450.0, "vessel change")])
    plot.time.point_at(425.0)
    plot.redraw()
    assert "Schedule 10.00\u202fµL/h" in plot.read_out.text()
    assert "vessel change" in plot.read_out.text()
    assert dict(plot.read(999.95))["Schedule"].startswith("20.00")
    assert dict(plot.read(2000.0))["Balance"] == "–"  # after its last sample
    assert dict(plot.read(-1.0))["Schedule"] == "–"


def test_linked_plots_show_one_stretch_and_one_cursor(qtbot: Any, context: Context, curve: Pyramid) -> None:
    top = QWidget()
    qtbot.addWidget(top)
    grid, plots = QGridLayout(top), [TimePlot(name, "kPa", context) for name in ("A", "B")]
    for plot in plots:
        grid.addWidget(plot)
        plot.curve("c", "C", 0, curve)
    plots[1].link(plots[0])
    with qtbot.waitExposed(top):
        top.show()
    key(plots[0], Qt.Key.Key_Plus, Qt.Key.Key_C)
    plots[1].redraw()
    assert plots[0].canvas.hands.viewRange()[0] == plots[1].canvas.hands.viewRange()[0]
    assert plots[0].canvas.cursor == plots[1].canvas.cursor is not None
    assert plots[1].tools is not None
    assert plots[1].tools.live.isVisibleTo(plots[1])


def test_a_plot_that_is_unlinked_may_go_and_the_others_stay(qtbot: Any, context: Context, plot: TimePlot) -> None:
    other = TimePlot("Other", "kPa", context)
    other.link(plot)
    other.unlink()
    other.close()
    other.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    key(plot, Qt.Key.Key_Plus)
    assert other.time is not plot.time


def test_the_wheel_zooms_around_the_mouse(plot: TimePlot) -> None:
    spot = at(plot, 250.0, 20.0)
    viewport = plot.canvas.viewport()
    wheel = QWheelEvent(
        QPointF(spot), QPointF(viewport.mapToGlobal(spot)), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    before = plot.time.span_s
    QApplication.sendEvent(viewport, wheel)
    plot.redraw()
    assert plot.time.span_s == pytest.approx(before * 1.0015**-240, rel=1e-6)
    assert at(plot, 250.0, 20.0).x() == pytest.approx(spot.x(), abs=2)


def test_a_drag_pans_and_one_with_the_right_button_zooms_to_its_box(plot: TimePlot) -> None:
    span = plot.time.span_s
    drag(plot, Qt.MouseButton.LeftButton, at(plot, 600.0, 20.0), at(plot, 400.0, 20.0))
    assert plot.time.span_s == pytest.approx(span)
    assert plot.time.t0 == pytest.approx(200.0, abs=30.0)
    drag(plot, Qt.MouseButton.RightButton, at(plot, 500.0, 20.5), at(plot, 700.0, 19.5))
    (t0, t1), (low, high) = plot.canvas.hands.viewRange()
    assert (t0, t1, low, high) == pytest.approx((500.0, 700.0, 19.5, 20.5), abs=5.0)
    assert high - low == pytest.approx(1.0, abs=0.1)


def test_a_gap_is_a_gap(plot: TimePlot) -> None:
    y = np.where((T > 300.0) & (T < 600.0), np.nan, 20.0)
    plot.curve("balance", "Balance", 0, points(T, y))
    plot.redraw()
    picture = image(plot.canvas).copy(
        at(plot, 320.0, 20.0).x(), 0, at(plot, 580.0, 20.0).x() - at(plot, 320.0, 20.0).x(), 400
    )
    assert count(picture, look().scheme.curves[0].colour) == 0


def test_a_sample_between_two_gaps_is_a_dot(plot: TimePlot) -> None:
    lone = np.array([20.0, np.nan, 20.0, np.nan, 20.0, 20.5])
    plot.curve("balance", "Balance", 0, points(np.arange(0.0, 600.0, 100.0), lone))
    plot.redraw()
    spot = at(plot, 200.0, 20.0)
    around = image(plot.canvas).copy(spot.x() - 3, spot.y() - 3, 7, 7)
    assert count(around, look().scheme.curves[0].colour) >= 1


@pytest.mark.parametrize(("t0", "t1"), [(0.0, 2000.0), (990.0, 1510.0)])
def test_nothing_is_drawn_across_a_pause_at_any_zoom(plot: TimePlot, curve: Pyramid, t0: float, t1: float) -> None:
    curve.extend(T + 1500.0, np.full(len(T), 20.0))
    plot.time.show(t0, t1)
    plot.redraw()
    left, right = at(plot, 1010.0, 20.0).x(), at(plot, 1490.0, 20.0).x()
    assert count(image(plot.canvas).copy(left, 0, right - left, 380), look().scheme.curves[0].colour) == 0


def test_an_uneven_pace_is_no_pause() -> None:
    x = np.cumsum(np.random.default_rng(1).uniform(0.3, 1.7, 500))
    assert np.isfinite(broken_at_pauses(x, np.ones(500), True, 0.01)[1]).all()
    y = broken_at_pauses(np.array([0.0, 1.0, 2.0, 3.0, 30.0, 31.0]), np.arange(6.0), True, 0.01)[1]
    assert list(np.flatnonzero(np.isnan(y))) == [4]


def test_what_has_been_thinned_beside_what_has_not_is_one_curve() -> None:
    curve = Pyramid(1024)
    t = np.arange(40_000) * 0.1
    for begin in range(0, len(t), 100):
        curve.extend(t[begin : begin + 100], np.random.default_rng(begin).normal(size=100))
    drawn = curve.view(0.0, 4000.0, 600)
    assert not drawn.exact
    assert np.isfinite(broken_at_pauses(drawn.x, drawn.y, drawn.exact, 4000.0 / 600)[1]).all()


def test_data_that_are_not_measured_say_so_across_the_plot(plot: TimePlot) -> None:
    before = image(plot.canvas)
    plot.watermark("simulated")
    assert plot.canvas.watermark == "SIMULATED"
    assert image(plot.canvas) != before


def test_a_name_in_the_legend_hides_its_curve_and_the_values_fit_the_others(plot: TimePlot) -> None:
    plot.curve("high", "High", 1, points(T, np.full(len(T), 500.0)))
    plot.redraw()
    place = plot.head.legend.places()[1][1].center().toPoint()
    QTest.mouseClick(plot.head.legend, Qt.MouseButton.LeftButton, pos=place)
    plot.redraw()
    assert plot.canvas.hands.viewRange()[1][1] < 30.0
    assert [entry.is_shown for entry in plot.head.legend.entries] == [True, False]


def test_names_that_have_no_room_are_cut_and_stay_within_the_row(plot: TimePlot) -> None:
    for number in range(9):
        plot.curve(str(number), f"a channel with a long name {number}", number, Pyramid())
    places = [place for _, place in plot.head.legend.places()]
    assert places[-1].right() <= plot.head.legend.width() + 1
    assert all(one.right() <= other.left() + 1 for one, other in pairwise(places))


def test_a_picture_is_saved_under_a_name_of_its_own_and_told(plot: TimePlot, context: Context) -> None:
    said: list[tuple[str, Tone]] = []
    context.notify = lambda text, tone: said.append((text, tone))
    first, second = plot.save(), plot.save()
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("flow_0001.png", "flow_0002.png")
    assert QImage(str(first)).width() == plot.width()
    assert str(second) in said[-1][0]
    context.folder.joinpath("no-folder").write_text("")
    plot.picture_path = lambda: free_path(context.folder / "no-folder", "x")
    assert plot.save() is None
    assert said[-1][1] is Tone.FAIL


def test_a_dark_room_has_a_dark_plot_with_pens_of_its_own(plot: TimePlot) -> None:
    look().apply("dark", "desk")
    plot.redraw()
    try:
        assert count(image(plot.canvas), look().scheme.curves[0].colour) > 300
        assert count(image(plot.canvas), look().scheme.sunken) > 10_000
    finally:
        look().apply("light", "desk")


def test_another_run_starts_with_an_empty_plot(plot: TimePlot) -> None:
    key(plot, Qt.Key.Key_Plus)
    plot.clear()
    plot.redraw()
    assert plot.describe() == "no samples yet"
    assert plot.time.is_following
    plot.curve("new", "New", 0, points(np.array([0.0, 5.0]), np.array([1.0, 2.0])))
    plot.redraw()
    assert plot.time.t1 < 10.0


def test_a_value_holds_until_the_next_and_the_last_until_the_end() -> None:
    x, y = stepped(Drawn(np.array([0.0, 10.0]), np.array([1.0, 2.0]), True), 30.0)
    assert list(zip(x, y, strict=True)) == [(0.0, 1.0), (10.0, 1.0), (10.0, 2.0), (30.0, 2.0)]
