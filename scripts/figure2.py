"""Figure 2 of the paper: Convergence of Minimax-, Alt- and Maximin-AttNet, MNIST.

python -m scripts.figure2 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("figure2")
