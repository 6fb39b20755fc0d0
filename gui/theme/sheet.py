"""The style sheet, made of a scheme and a density.  Widgets say what they are by object name or by a property."""

from __future__ import annotations

from pathlib import Path

from gui.presenters.tone import Tone
from gui.theme.tokens import Density, Scheme

ICONS = Path(__file__).parent / "icons"


def style_sheet(scheme: Scheme, density: Density) -> str:
    """QSS of the whole window."""
    return "\n".join((_plain(scheme, density), _header(scheme, density), _tones(scheme), _tables(scheme, density)))


def _plain(s: Scheme, d: Density) -> str:
    return f"""
* {{ font-family: "Inter", "DejaVu Sans"; font-size: {d.font}px; color: {s.text}; }}
QMainWindow, QDialog, #page, QScrollArea, #scrolled {{ background: {s.window}; border: none; }}
QToolTip {{ background: {s.sunken}; color: {s.text}; border: 1px solid {s.line}; padding: 4px; }}
#panel {{ background: {s.panel}; border: 1px solid {s.line}; border-radius: 4px; }}
#panel QScrollArea, #panel #scrolled {{ background: {s.panel}; }}
#panelTitle {{ font-weight: 600; }}
QLabel {{ background: transparent; }}
QLabel[muted="true"] {{ color: {s.muted}; font-size: {d.small}px; }}
QLabel[big="true"] {{ font-size: {d.large}px; font-weight: 600; }}
QLabel[heading="true"] {{ font-size: {d.large}px; font-weight: 600; }}
QLineEdit, QComboBox, QSpinBox, QPlainTextEdit, QTextEdit {{
    background: {s.sunken}; border: 1px solid {s.line}; border-radius: 4px; padding: 0 8px;
    min-height: {d.control - 2}px; selection-background-color: {s.accent.under}; selection-color: {s.accent.text};
}}
QPlainTextEdit, QTextEdit {{ padding: 4px; }}
QLineEdit:focus, QComboBox:focus, QPlainTextEdit:focus, QTextEdit:focus, QTableView:focus, QListView:focus,
QTreeView:focus {{ border: 2px solid {s.accent_line}; }}
QLineEdit:read-only {{ background: {s.panel}; color: {s.muted}; }}
QLineEdit[wrong="true"] {{ border: 2px solid {s.tone(Tone.FAIL).text}; }}
QComboBox::drop-down {{ border: none; width: {d.control}px; }}
QComboBox::down-arrow {{ image: url("{(ICONS / f"chevron-{s.name}.svg").as_posix()}"); width: 12px; height: 12px; }}
QComboBox QLineEdit, QComboBox QLineEdit:focus {{ border: none; padding: 0; min-height: 0; background: transparent; }}
QComboBox QAbstractItemView {{ background: {s.sunken}; border: 1px solid {s.line}; outline: none;
    selection-background-color: {s.accent.under}; selection-color: {s.accent.text}; }}
QPushButton, QToolButton {{
    background: {s.sunken}; border: 1px solid {s.line}; border-radius: 4px; padding: 0 12px;
    min-height: {d.control - 2}px; font-weight: 500;
}}
QToolButton {{ padding: 0 6px; }}
QPushButton[compact="true"] {{ padding: 0 7px; }}
QPushButton:hover, QToolButton:hover {{ border-color: {s.accent_line}; }}
QPushButton:pressed, QToolButton:pressed, QPushButton:checked, QToolButton:checked {{
    background: {s.accent.under}; color: {s.accent.text}; border-color: {s.accent_line};
}}
QPushButton:focus, QToolButton:focus, QCheckBox:focus, QRadioButton:focus {{ border: 2px solid {s.accent_line}; }}
QPushButton:disabled, QToolButton:disabled {{ background: {s.panel}; color: {s.muted}; border-color: {s.line}; }}
QPushButton[primary="true"] {{ background: {s.accent_line}; color: {"#FFFFFF" if s.name == "light" else "#0C1013"};
    border-color: {s.accent_line}; }}
QPushButton[primary="true"]:disabled {{ background: {s.panel}; color: {s.muted}; border-color: {s.line}; }}
QCheckBox, QRadioButton {{ spacing: 6px; min-height: {d.control - 6}px; border: 2px solid transparent; }}
QCheckBox::indicator, QAbstractItemView::indicator {{ background: {s.sunken}; border: 1px solid {s.muted};
    border-radius: 3px; width: {d.icon - 2}px; height: {d.icon - 2}px; }}
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ background: {s.accent_line};
    border-color: {s.accent_line}; image: url("{(ICONS / f"check-{s.name}.svg").as_posix()}"); }}
QCheckBox::indicator:disabled, QAbstractItemView::indicator:disabled {{ border-color: {s.line}; }}
QProgressBar {{ background: {s.sunken}; border: 1px solid {s.line}; border-radius: 3px; max-height: 8px;
    min-height: 8px; }}
QProgressBar::chunk {{ background: {s.accent_line}; }}
QSplitter::handle {{ background: {s.window}; }}
QMenu {{ background: {s.sunken}; border: 1px solid {s.line}; padding: 4px; }}
QMenu::item {{ padding: 6px 24px 6px 12px; min-height: {d.row - 12}px; }}
QMenu::item:selected {{ background: {s.accent.under}; color: {s.accent.text}; }}
QScrollBar {{ background: transparent; width: {d.scroll}px; height: {d.scroll}px; margin: 0; }}
QScrollBar::handle {{ background: {s.handle}; border-radius: 4px; min-height: {d.control}px;
    min-width: {d.control}px; margin: 1px; }}
QScrollBar::handle:vertical {{ margin: 1px {d.scroll // 4}px; }}
QScrollBar::handle:horizontal {{ margin: {d.scroll // 4}px 1px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QTabWidget::pane {{ border: 1px solid {s.line}; background: {s.panel}; top: -1px; }}
QTabBar::tab {{ background: transparent; border: none; padding: 0 14px; min-height: {d.control}px; color: {s.muted}; }}
QTabBar::tab:selected {{ color: {s.text}; border-bottom: 2px solid {s.accent_line}; font-weight: 600; }}
QTabBar::tab:focus {{ color: {s.accent.text}; background: {s.accent.under}; }}
QStatusBar {{ background: {s.panel}; border-top: 1px solid {s.line}; }}
QStatusBar QLabel {{ color: {s.muted}; font-size: {d.small}px; padding: 0 8px; }}
QStatusBar::item {{ border: none; }}
"""


def _header(s: Scheme, d: Density) -> str:
    return f"""
#header {{ background: {s.header.under}; }}
#header QLabel {{ color: {s.header.text}; }}
#header QLabel[muted="true"] {{ color: {s.header_muted}; font-size: {d.small}px; }}
#header QLabel[strong="true"] {{ font-weight: 600; }}
#header QLabel[station="true"] {{ font-size: {d.large - 2}px; font-weight: 600; }}
#stop {{ background: {s.stop.under}; color: {s.stop.text}; border: 2px solid {s.stop.text}; border-radius: 5px;
    font-size: {d.large - 3}px; font-weight: 700; min-width: 196px; min-height: 46px; letter-spacing: 1px; }}
#stop:pressed {{ background: {s.stop_pressed}; }}
#stop:disabled {{ background: transparent; color: {s.header_muted}; border: 1px solid {s.header_muted}; }}
#stop:focus {{ border: 3px solid {s.accent.under if s.name == "light" else s.accent_line}; }}
#cardStop {{ background: {s.stop.under}; color: {s.stop.text}; border: 1px solid {s.stop.text}; border-radius: 3px;
    font-weight: 700; padding: 0 8px; }}
#cardStop:pressed {{ background: {s.stop_pressed}; }}
#rail {{ background: {s.header.under}; }}
#rail QToolButton {{ background: transparent; border: none; border-left: 3px solid transparent; border-radius: 0;
    color: {s.header_muted}; padding: 6px 2px; font-size: {d.small}px; min-height: {d.rail}px;
    min-width: {5 * d.font + 4}px; }}
#rail QToolButton[small="true"] {{ min-width: 24px; min-height: {d.control}px; padding: 0; }}
#rail QToolButton:checked {{ color: {s.header.text}; border-left: 3px solid {s.header.text};
    background: {"#3A4753" if s.name == "light" else "#1D242B"}; }}
#rail QToolButton:hover {{ color: {s.header.text}; }}
#rail QToolButton:focus {{ border: 2px solid {s.header_muted}; }}
"""


def _tones(s: Scheme) -> str:
    rules = []
    for tone in Tone:
        fill = s.tone(tone)
        rules.append(f'QLabel[tone="{tone}"] {{ color: {fill.text}; }}')
        rules.append(
            f'QLabel[pill="{tone}"], #header QLabel[pill="{tone}"] {{ color: {_on_pill(s, tone)};'
            f" background: {_pill(s, tone)}; border-radius: 3px; padding: 2px 10px; font-weight: 600; }}"
        )
        rules.append(
            f'QFrame[notice="{tone}"] {{ background: {_pill(s, tone)}; border: 1px solid {fill.text};'
            f' border-radius: 4px; }} QFrame[notice="{tone}"] QLabel {{ color: {_on_pill(s, tone)}; }}'
        )
    return "\n".join(rules)


def _pill(s: Scheme, tone: Tone) -> str:
    return s.sunken if s.tone(tone).under == "transparent" else s.tone(tone).under


def _on_pill(s: Scheme, tone: Tone) -> str:
    return s.tone(tone).text


def _tables(s: Scheme, d: Density) -> str:
    return f"""
QTableView, QListView, QTreeView {{ background: {s.sunken}; alternate-background-color: {s.striped};
    border: 1px solid {s.line}; border-radius: 3px; gridline-color: transparent;
    selection-background-color: {s.accent.under}; selection-color: {s.accent.text}; outline: none; }}
QTableView::item, QListView::item, QTreeView::item {{ padding: 0 6px; min-height: {d.row}px; border: none; }}
QListView::item:selected {{ background: {s.accent.under}; color: {s.accent.text}; }}
QHeaderView {{ background: {s.panel}; }}
QHeaderView::section {{ background: {s.panel}; color: {s.muted}; border: none; border-bottom: 1px solid {s.line};
    padding: 0 6px; min-height: {d.row}px; font-weight: 500; font-size: {d.small}px; }}
QTableCornerButton::section {{ background: {s.panel}; border: none; }}
"""
