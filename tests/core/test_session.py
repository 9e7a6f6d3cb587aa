from __future__ import annotations

from pytest_mdm_health.core.session import Session, current, end_session, kept_for_session


class Part:
    closed: list[Part]

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Other(Part):
    def close(self) -> None:
        assert not current().part(Part).is_closed
        super().close()


def test_a_session_has_one_of_each_part_and_closes_it() -> None:
    with Session() as session:
        part = session.part(Part)
        assert session.part(Part) is part
    assert part.is_closed
    assert session.part(Part) is not part


def test_the_newest_part_is_closed_first() -> None:
    with Session() as session:
        first, second = session.part(Part), session.part(Other)
        end_session()
    assert first.is_closed
    assert second.is_closed


def test_sessions_are_nested_and_the_outer_one_comes_back() -> None:
    with Session() as outer:
        part = current().part(Part)
        with Session():
            assert current().part(Part) is not part
        assert current() is outer
        assert not part.is_closed


def test_answers_are_kept_until_the_session_ends() -> None:
    asked = []

    @kept_for_session(2)
    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    with Session():
        assert [double(1), double(1), double(2), double(3), double(1)] == [2, 2, 4, 6, 2]
    assert asked == [1, 2, 3, 1]
    with Session():
        double(1)
    assert asked == [1, 2, 3, 1, 1]
