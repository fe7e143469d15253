"""The ``mammo`` command: everything that the product does without a browser.

Knows nothing of how things are done. Progress goes to stderr, results to stdout. Heavy packages are imported
inside the commands, so that ``--help`` is quick.
"""

import typer

from mammo_train.commands.card import card
from mammo_train.commands.compare import compare
from mammo_train.commands.estimate import estimate
from mammo_train.commands.evaluate import evaluate
from mammo_train.commands.models import models
from mammo_train.commands.phantom import phantom
from mammo_train.commands.prepare import prepare
from mammo_train.commands.promote import promote
from mammo_train.commands.read import read
from mammo_train.commands.train import train

app = typer.Typer(
    help="A second reader for mammography. Research use only - not for diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (read, models, card, promote, phantom, prepare, estimate, train, evaluate, compare):
    app.command()(command)

if __name__ == "__main__":
    app()
