"""Statistics of shares and of pairs."""

import math

import pytest

from sdlab.results.stats import sign_test


@pytest.mark.parametrize("left, right", [(0, 1), (3, 3), (5, 0), (2, 9), (9, 2), (14, 1)])
def test_the_sign_test_is_twice_the_tail_of_a_fair_coin(left, right):
    n, most = left + right, max(left, right)
    tail = sum(math.comb(n, wins) for wins in range(most, n + 1)) / 2**n
    assert sign_test(left, right) == pytest.approx(min(1, 2 * tail))


def test_no_wins_tell_nothing_and_fewer_are_refused():
    assert sign_test(0, 0) == 1
    with pytest.raises(ValueError, match="-1 and 2 wins"):
        sign_test(-1, 2)
