"""How a run in a process of its own is watched and led: the interface, its server and its client."""
