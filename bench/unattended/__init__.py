"""Runs that nobody watches: messages to people, the stack light, a computer that stays awake, the hand-over note."""
