"""Statistics of shares: how exactly a number of hits tells how often something happens."""

from __future__ import annotations


def share_interval(hits: float, n: int) -> tuple[float, float]:
    """Compute the 95 % Wilson interval of a share, such as 8 hits of 10.

    Parameters
    ----------
    hits : int, or a float that is whole
        0 to `n`.
    n : int
        Trials, at least 1.

    Returns
    -------
    (float, float)
        Lower and upper end, 0 to 1.

    Raises
    ------
    ValueError
        If there are no trials, or more hits than trials.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927); as `scipy.stats.binomtest` has it.
    """
    from scipy.stats import binomtest

    low, high = binomtest(int(hits), n).proportion_ci(0.95, "wilson")
    return float(low), float(high)
