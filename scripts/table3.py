"""Table 3 of the paper: Gradient attacks against adversarially trained classifiers, MNIST.

python -m scripts.table3 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table3")
