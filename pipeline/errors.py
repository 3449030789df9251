"""What can go wrong in a way a user can mend.

Library code raises one of these with a message that says what was expected, what was found and
what to do; only the command line prints them and exits.
"""


class PipelineError(Exception):
    """An expected failure. Its text is shown to the user as it is, so it never quotes a message."""

    exit_code = 1


class SettingsError(PipelineError):
    """A settings file or an override is not usable. The text lists every problem found."""

    exit_code = 2


class InputError(PipelineError):
    """A file the user named is missing, unreadable or not what its format promises."""


class DataError(PipelineError):
    """The messages or their labels do not allow the stage to go on."""


class ModelFolderError(PipelineError):
    """A model folder is missing, incomplete, altered or made by another version."""


class GateError(PipelineError):
    """A model was measured and does not reach what the settings demand."""

    exit_code = 3
