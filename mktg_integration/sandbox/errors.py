"""What can be wrong with what a person gives the sandbox itself (never what a service answers)."""


class WorldError(ValueError):
    """A world that cannot be loaded; the message names the place in it and what is expected there."""


class FaultError(ValueError):
    """A fault rule that makes no sense; the message names the key."""
