"""The bench: stations, the engine that runs protocols on them, and the command line."""
