"""Table 7 of the paper: FGSM against the classifier trained against it, CIFAR-10.

python -m scripts.table7 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table7")
