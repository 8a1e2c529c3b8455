"""Figure 3 of the paper: Adversarial images of the paper's attacks, eta 0.2.

python -m scripts.figure3 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("figure3")
