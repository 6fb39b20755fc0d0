"""``python -P -m gui``: the window, in a process of its own."""

import sys

if __name__ == "__main__":  # the window's own processes import this file too, and need no Qt
    from gui.app import main

    sys.exit(main())
