from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import SemEval2017
from datamodules.semeval2017 import read_tweets, without_escapes
from lifelong.text import HashedWords, TextDomain
from tests.datamodules.text_files import pack, tweet_files, unpack

pytestmark = pytest.mark.filterwarnings("ignore:.* here, the official one has:UserWarning")

TRAIN = "dataset/train/twitter-{}-A.txt"
TEST = "dataset/test/SemEval2017-task4-test.subtask-A.english.txt"


def domains(root: Path, **settings: Any) -> list[TextDomain]:
    return SemEval2017(encoding=HashedWords(), root=str(root), **settings).text_domains()


@pytest.mark.parametrize("where", ["archive", "archive in the root", "folder", "flat folder"])
def test_the_files_are_read_packed_or_not(where: str, tmp_path: Path) -> None:
    files = tweet_files()
    match where:
        case "archive":
            pack(tmp_path / "semeval2017-task4a/semeval2017-task4a.tar.xz", files)
        case "archive in the root":
            pack(tmp_path / "semeval2017-task4a.tar.xz", {f"./{name}": data for name, data in files.items()})
        case "folder":
            unpack(tmp_path / "semeval2017-task4a", files)
        case _:
            unpack(tmp_path, {Path(name).name: data for name, data in files.items()})
    (domain,) = domains(tmp_path)
    assert domain.in_test is not None
    assert (domain.name, len(domain.texts), domain.in_test.sum()) == ("tweets", 12 * 18, 18)
    assert {text[-4:] for text in np.array(domain.texts)[domain.in_test]} == {"2017"}
    assert domain.y[:4].tolist() == [0, 1, 2, 0]


def test_years_are_chosen_and_may_be_domains(tmp_path: Path) -> None:
    unpack(tmp_path, tweet_files())
    years = domains(tmp_path, by="year")
    assert [(domain.name, len(domain.texts)) for domain in years] == [
        ("tweets 2013", 54), ("tweets 2014", 36), ("tweets 2015", 36), ("tweets 2016", 72),
    ]  # fmt: skip
    assert all(domain.in_test is None for domain in years)
    late, early = domains(tmp_path, by="year", years=[2017, 2013], neutral=False)
    assert (late.name, len(late.texts), early.name, len(early.texts)) == ("tweets 2017", 12, "tweets 2013", 36)
    (without,) = domains(tmp_path, years=[2014])
    assert (len(without.texts), without.in_test) == (36, None)
    for asked in ([], [2012], [2013, 2013]):
        with pytest.raises(ValueError, match=r"has years \[.*: give different ones of 2013, 2014"):
            domains(tmp_path, years=asked)
    with pytest.raises(ValueError, match="nothing to train on but the official test: add years"):
        domains(tmp_path, years=[2017])


def test_of_copied_tweets_the_one_of_the_test_stays(tmp_path: Path) -> None:
    files = tweet_files()
    files[TRAIN.format("2013train")] = "1\tpositive\tone\n2\tneutral\ttwo\n3\tnegative\tthree\n3\tpositive\tthree\n"
    files[TRAIN.format("2016test")] = "2\tpositive\tnew number\t\n9\tnegative\tthree\t\n8\tneutral\tfour\t\n"
    files[TEST] = "1\tnegative\tone again\n7\tneutral\tfour\n"
    unpack(tmp_path, files)
    tweets = {(t.number, t.text, t.label) for t in read_tweets(str(tmp_path)) if " of " not in t.text}
    assert tweets == {
        ("2", "two", "neutral"), ("3", "three", "negative"), ("1", "one again", "negative"), ("7", "four", "neutral"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"I\u2019m at 5\u002c now", "I’m at 5, now"),
        (r"so good \ud83d\ude00", "so good 😀"),
        (r'"Why is \""""Valentines\"""" trending?"', 'Why is "Valentines" trending?'),
        (r'"It read: \""Stand up\"""', 'It read: "Stand up"'),
        ('"Excited to read ""Watchman"", now"', 'Excited to read "Watchman", now'),
        ('"Yes we can" became "no"', '"Yes we can" became "no"'),
        ('OUT!!""Everyone', 'OUT!!""Everyone'),
        ("fish &amp; chips &lt;3 AT&T &notit", "fish & chips <3 AT&T &notit"),
        (r"rock \m/  on", r"rock \m/ on"),
    ],
)
def test_escapes_are_undone(text: str, expected: str) -> None:
    assert without_escapes(text) == expected


def test_what_is_missing_or_damaged_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"neither semeval2017-task4a.tar.xz nor .* get them from https.*LIFELONG_DATA"
    ):
        domains(tmp_path)
    archive = tmp_path / "semeval2017-task4a.tar.xz"
    pack(archive, {TEST: ""})
    with pytest.raises(ValueError, match=r"has no dataset/train/twitter-2013train-A.txt: .* get it anew"):
        domains(tmp_path)
    pack(archive, tweet_files())
    archive.write_bytes(archive.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"tar\.xz cannot be unpacked \([^\n]*: get it anew"):
        domains(tmp_path)
    files = tweet_files()
    unpack(tmp_path / "a", files | {TRAIN.format("2014test"): "1\tpositive\tgood\n2\tmixed\tso so\n"})
    with pytest.raises(ValueError, match=r"2014test-A.txt, line 2 is '2\\tmixed\\tso so': expected number, one of neg"):
        domains(tmp_path / "a")
    (tmp_path / "a" / TEST).unlink()
    with pytest.raises(ValueError, match=r"has no dataset/test/SemEval2017.*: put it beside the other files"):
        domains(tmp_path / "a")


def test_other_counts_than_the_official_ones_are_told(tmp_path: Path) -> None:
    pack(tmp_path / "semeval2017-task4a/semeval2017-task4a.tar.xz", tweet_files())
    message = (
        "SemEval-2017 has 198 tweets and 18 of the official test here, the official one has 50334 tweets and 12284"
    )
    with pytest.warns(UserWarning, match=message):
        SemEval2017(encoding=HashedWords(), root=str(tmp_path)).text_domains()


@pytest.mark.real_data
@pytest.mark.filterwarnings("error")
def test_the_real_archive_has_its_counts(real_data: Path) -> None:
    if not (real_data / "semeval2017-task4a").is_dir():
        pytest.skip(f"no tweets of SemEval-2017 under {real_data}: set LIFELONG_DATA")
    # Of 50,334 tweets for training 779 are copies of others, most of those of 2015 of ones of 2013; none of the test.
    (domain,) = domains(real_data)
    assert domain.in_test is not None
    assert np.bincount(domain.y[~domain.in_test]).tolist() == [7729, 22189, 19637]
    assert np.bincount(domain.y[domain.in_test]).tolist() == [3972, 5937, 2375]
    assert not any("\\u" in text for text in domain.texts)
    years = domains(real_data, by="year", years=[2013, 2014, 2015, 2016, 2017])
    assert [len(year.texts) for year in years] == [14819, 1939, 2370, 30427, 12284]
