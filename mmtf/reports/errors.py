"""How an error rate is told: beside the robust accuracy, which the field reports."""

HEADING = "test error (robust accuracy)"


def error_text(error: float) -> str:
    """The error and the robust accuracy, 1 - error; of images that are not attacked, accuracy.

    Example:
      >>> error_text(0.0283)
      '0.0283 (97.2 %)'
    """
    return f"{error:.4f} ({100 * (1 - error):.1f} %)"
