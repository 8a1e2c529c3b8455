"""What a finished run says: its tables of test errors, its pace, where its files are."""

from mmtf.radius import describe_radius
from mmtf.reports import lemma_table, result_table, risk_table, rounds_table
from mmtf.reports.errors import HEADING


def print_run(record: dict, path: str) -> None:
    """Prints a run's tables, its pace, and where everything is.

    Args:
      record: of a finished run.
      path: its workdir.
    """
    config, dataset = record["config"], record["dataset"]
    if dataset["notice"]:
        print(dataset["notice"])
    radius = describe_radius(config["eta"])
    title = f"{config['game']} on {dataset['name']}, {config['norm']}, {radius}"
    every = config["game_options"].get("penalty_every", 1)
    if every > 1:
        title += f", penalty on one example in {every}"
    print(f"\n{title}: {HEADING} in float32" + (f" ({dataset['note']})" if dataset["note"] else ""))
    print(result_table(record["results"]).to_string(index=False))
    if record.get("rounds"):
        print(f"\nCat and mouse, defenses x attacks: {HEADING}, and the paper's error")
        print(rounds_table(record["rounds"], dataset["name"], config["eta"]).to_string())
    if record.get("replays"):
        print(f"\nReplayed attacks: {HEADING}, and the paper's error")
        print(rounds_table(record["replays"], dataset["name"], config["eta"]).to_string())
    if record.get("exploitability"):
        report = record["exploitability"]
        print("\nThe pair (u, v) against best responses trained afresh: mean risk and error rate")
        print(risk_table(report).to_string(index=False))
        print("\nLemma 1: differences of mean risk")
        print(lemma_table(report).to_string(index=False))
    training = record["training"]
    print(
        f"\n{training['steps']} steps in {training['seconds']:.0f} s{_pace(record)}; from start to "
        f"table {record['seconds_in_last_process']:.0f} s. Everything is in {path}: "
        f"record.json, classifier.keras, saved_model, logs (tensorboard --logdir)."
    )


def _pace(record):
    images = record["training"].get("images_per_second")
    if not images:
        return ""
    return (
        f" ({images:,.0f} images/s over {record['replicas']} replica(s) of "
        f"{record['workers']} worker(s))"
    )
