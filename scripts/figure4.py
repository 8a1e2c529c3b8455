"""Figure 4 of the paper: Convergence of Minimax-Grad, CIFAR-10.

python -m scripts.figure4 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("figure4")
