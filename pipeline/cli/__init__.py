"""The command line: the only place that prints or exits.

One module a command group. Each command turns options into the arguments of a public function,
imported inside it so that ``outreach --help`` stays instant, and its result into words.
"""

from pipeline.cli.app import main

__all__ = ["main"]
