"""What growth has to reach: the largest size is held against the smallest."""

from bench import scale
from tests.bench import made

FEW, MANY = made.grants(1_000), made.grants(1_000_000)
CLIENTS = (made.clients(100), made.clients(100_000, rate_ratio=made.spread(0.6)))


def verdicts(*sizes: scale.GrantsSize) -> list[str]:
    figures = scale.figures(sizes, CLIENTS)
    return [figure.target.verdict(figure.value.median) for figure in figures if figure.target and figure.value]


class TestTheTargets:
    def test_are_reached_where_nothing_grows(self) -> None:
        assert verdicts(FEW, MANY) == ["reached"] * 3

    def test_are_missed_by_a_p99_that_grows(self) -> None:
        assert verdicts(FEW, made.grants(1_000_000, p99_ratio=made.spread(1.21))) == ["missed", "reached", "reached"]

    def test_are_missed_by_grants_of_any_size_that_take_too_much(self) -> None:
        assert verdicts(made.grants(1_000, bytes_each=401.0), MANY) == ["reached", "missed", "reached"]

    def test_are_missed_by_a_start_that_takes_longer(self) -> None:
        assert verdicts(FEW, made.grants(1_000_000, start_ratio=made.spread(1.2))) == ["reached", "reached", "missed"]

    def test_name_the_sizes_that_they_compare(self) -> None:
        names = [figure.name for figure in scale.figures((FEW, MANY), CLIENTS)]
        assert names[0] == "W3 p99 at 1,000,000 grants, of 1,000"
        assert names[3] == "W1 rate at 100,000 clients, of 100"
