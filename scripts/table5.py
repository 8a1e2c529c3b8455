"""Table 5 of the paper: Minimax-AttNet, Alt-AttNet and Minimax-Grad, MNIST.

python -m scripts.table5 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table5")
