"""The one exception that is meant for a person: what was wrong, with which value, and what to do next."""


class UserError(Exception):
    """A mistake that whoever called can mend. The command line prints its one sentence and exits with 2."""
