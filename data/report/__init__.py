"""Reports of runs: what QA signs, as PDF/A, as HTML, and as pictures of its pages.

Everything is read from the run file; nothing is evaluated here.  The same file and the same version of this program
give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

FONTS = Path(__file__).parent / "fonts"
"""Inter (SIL Open Font License), for reports and for the window: no font of the computer is needed."""
