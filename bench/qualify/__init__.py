"""Whether the bench finds every fault that it says it finds, names its owner, and leaves sound pumps alone."""
