"""``python -P -m gui``: the window, in a process of its own."""

import sys

from gui.app import main

if __name__ == "__main__":
    sys.exit(main())
