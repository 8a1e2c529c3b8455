"""Table 10 of the paper: Minimax-AttNet, Alt-AttNet and Minimax-Grad, CIFAR-10.

python -m scripts.table10 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table10")
