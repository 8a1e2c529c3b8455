"""Table 5 of the paper: Minimax-AttNet, Alt-AttNet and Minimax-Grad, MNIST.

    python -m scripts.table5 [--rerun | --measure | --dry_run] [--schedule=paper]

Renders from the committed records; --measure measures what is missing, --rerun all of it again.
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table5")
