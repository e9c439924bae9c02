"""The record of a stream: classes by number, by experience, and so far."""

from __future__ import annotations

from dataclasses import replace

from datamodules import EpisodicDataModule, ExampleDataModule, Omniglot, Rotated
from lifelong.data.stream_record import StreamRecord
from tests.toys import FewClasses, Toy, toy_data, toy_examples


def test_classes_go_by_number_and_experience() -> None:
    data = toy_examples("class", n_domains=3)
    record = data.record(2)
    for number, experience in enumerate(data.stream.experiences):
        (pool,) = experience.pools
        names = dict(zip(pool.numbers.tolist(), pool.names, strict=True))
        told_apart = {n: f"{name} ({experience.name})" for n, name in names.items()}  # each domain has a c0
        assert {n: record.classes[n] for n in record.classes_of[number]} == told_apart
    assert record.experiences == ("domain 0", "domain 1", "domain 2")
    assert record.learnt_experiences == ("domain 0", "domain 1")
    assert record.learnt_classes == record.classes_of[0] + record.classes_of[1]
    assert (record.unit, record.kind, record.n_way, record.n_shot) == ("examples", "class", None, None)


def test_record_is_plain_data_and_back() -> None:
    record = toy_data(n_way=3, n_shot=2).record(1)
    assert (record.n_way, record.n_shot, record.n_learnt) == (3, 2, 1)
    assert StreamRecord.from_dict(record.to_dict()) == record
    assert all(isinstance(value, (str, bool, int, list, type(None))) for value in record.to_dict().values())


def test_shared_classes_have_the_names_of_all_domains() -> None:
    class Others(FewClasses):
        def domains(self):  # type: ignore[no-untyped-def]
            first, second = super().domains()
            return [first, replace(second, class_names=["c0", "d1", "c2", "c3"])]

    record = ExampleDataModule([Others(2)], scenario="domain", steps_per_experience=1).record(2)
    assert record.classes == ("c0", "c1 or d1", "c2", "c3")
    assert record.classes_of == ((0, 1, 2, 3), (0, 1, 2, 3))


def test_cumulative_experiences_have_their_own_classes() -> None:
    plain, cumulative = toy_examples("class").record(3), toy_examples("class", cumulative=True).record(3)
    assert cumulative.classes_of == plain.classes_of
    joint = toy_examples("class", joint=True).record(9)
    assert (joint.n_learnt, len(joint.classes_of), len(joint.learnt_classes)) == (1, 1, len(plain.classes))


def test_regression_is_told_apart() -> None:
    assert toy_data(kind="regression").record(2).is_regression
    assert not toy_data().record(2).is_regression


def test_a_stream_is_read_as_its_first_source_that_can_be() -> None:
    drawings = Omniglot(image_size=14)
    assert EpisodicDataModule([Toy()]).reader() is None
    reader = EpisodicDataModule([Toy(), Rotated(drawings, angles=[90, 360])]).reader()
    assert (reader.image_size, reader.inverted) == (14, True)  # type: ignore[union-attr]
    assert EpisodicDataModule([Rotated(drawings, angles=[90])]).reader() is None
