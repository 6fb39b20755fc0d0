"""The simulated rig: one plant, and the devices that speak on the wire.  Of ours it imports the clock alone."""
