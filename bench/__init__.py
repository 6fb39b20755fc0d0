"""The bench: stations, the engine that runs protocols on them, and the command line."""

__version__ = "0.1.0"
"""The same as in pyproject.toml; a test keeps the two together."""
