"""The two ways in which a part of a checkpoint is no proof of itself. The words of both are for people."""


class Broken(Exception):
    """It is damaged, and that is proven: what, and where."""


class Unknown(Exception):
    """It cannot be judged: why."""


class OtherZip(Unknown):
    """A zip, and none of `torch.save`."""


class Late(Unknown):
    """There was not the time to read it."""
