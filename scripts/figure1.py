"""Figure 1 of the paper: Convergence of Minimax-Grad, MNIST.

python -m scripts.figure1 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("figure1")
