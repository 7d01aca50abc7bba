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


def sign_test(wins_left: int, wins_right: int) -> float:
    """Compute how likely a fair coin falls at least as unevenly: the two-sided sign test.

    Parameters
    ----------
    wins_left, wins_right : int
        Pairs that one side won, and those that the other won; ties are left out.

    Returns
    -------
    float
        0 to 1; 1 if there are no wins at all.

    Raises
    ------
    ValueError
        If a number is negative.

    References
    ----------
    W. J. Dixon and A. M. Mood, "The statistical sign test", JASA 41 (1946); as
    `scipy.stats.binomtest` has it.
    """
    if min(wins_left, wins_right) < 0:
        raise ValueError(f"{wins_left} and {wins_right} wins: there are none or more, never fewer")
    from scipy.stats import binomtest

    wins = int(wins_left), int(wins_right)
    return float(binomtest(wins[0], sum(wins)).pvalue) if any(wins) else 1.0
