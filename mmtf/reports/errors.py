"""How tables and messages print an error rate: with the robust accuracy in parentheses."""

HEADING = "test error (robust accuracy)"


def error_text(error: float) -> str:
    """Formats an error rate in [0, 1] and, in percent, the robust accuracy 1 - error.

    Without an attack the second number is the clean accuracy.

    Example:
      >>> error_text(0.0283)
      '0.0283 (97.2 %)'
    """
    return f"{error:.4f} ({100 * (1 - error):.1f} %)"
