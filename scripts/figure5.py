"""Figure 5 of the paper: Convergence of Minimax-, Alt- and Maximin-AttNet, CIFAR-10.

python -m scripts.figure5 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("figure5")
