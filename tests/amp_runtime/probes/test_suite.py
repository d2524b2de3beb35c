"""Every test is in exactly one share, whoever asks."""

from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.probes.suite import files_of
from amp_runtime.wire import ALL, Share

FILES = st.dictionaries(st.text("abc/_", min_size=1, max_size=8), st.integers(1, 40), max_size=20)


@given(FILES, st.integers(1, 5))
def test_shares_divide_the_files_between_them(tests, of):
    shares = [files_of(Share(index=index, of=of), tests) for index in range(of)]
    assert sorted(path for share in shares for path in share) == sorted(tests)


@given(FILES, st.integers(1, 5), st.randoms())
def test_the_order_in_which_files_are_collected_is_all_the_same(tests, of, random):
    other = list(tests.items())
    random.shuffle(other)
    assert files_of(Share(index=0, of=of), tests) == files_of(Share(index=0, of=of), dict(other))


@given(FILES, st.integers(2, 5))
def test_no_share_has_more_than_another_but_for_one_file(tests, of):
    sums = [sum(tests[path] for path in files_of(Share(index=index, of=of), tests)) for index in range(of)]
    assert max(sums) - min(sums) <= max(tests.values(), default=0)


def test_the_only_share_is_all():
    assert files_of(ALL, {"a.py": 3, "b.py": 1}) == {"a.py", "b.py"}
