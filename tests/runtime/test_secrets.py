"""Secrets from `.dev.vars`."""

import os

import pytest

from stepwell.errors import ProjectError
from stepwell.runtime.secrets import read_secrets


def write_secrets(folder, text):
    (folder / ".dev.vars").write_text(text, encoding="utf-8")
    return folder


def test_no_file(tmp_path):
    """Without the file there are no secrets."""
    assert {} == read_secrets(tmp_path)


def test_forms(tmp_path):
    """Plain, quoted, commented, exported, empty and many-line values are read."""
    write_secrets(
        tmp_path,
        "# comment\nPLAIN=abc # more\nDOUBLE=\"a b\\nc\"\nSINGLE='a # b'\n"
        'export SHELL_LIKE=1\nEMPTY=\nKEY="-----BEGIN\nEND-----"\n',
    )

    assert {
        "PLAIN": "abc",
        "DOUBLE": "a b\nc",
        "SINGLE": "a # b",
        "SHELL_LIKE": "1",
        "EMPTY": "",
        "KEY": "-----BEGIN\nEND-----",
    } == read_secrets(tmp_path)


def test_values_are_taken_as_they_stand(tmp_path):
    """A value that looks like a reference is none, and the process's environment stays as it is."""
    write_secrets(tmp_path, "TEST_ONE=${HOME}\nTEST_TWO=${TEST_ONE}x")

    assert {"TEST_ONE": "${HOME}", "TEST_TWO": "${TEST_ONE}x"} == read_secrets(tmp_path)
    assert "TEST_ONE" not in os.environ


def test_bad_lines(tmp_path):
    """Each line that cannot be read is told by its number, without what stands in it."""
    write_secrets(tmp_path, "GOOD=1\nNO_VALUE\n\nBAD='hunter2\n")

    with pytest.raises(ProjectError) as caught:
        read_secrets(tmp_path)

    assert ["line 2", "line 4"] == [problem.key for problem in caught.value.problems]
    assert "NO_VALUE has no value" == caught.value.problems[0].what
    assert "hunter2" not in str(caught.value)


def test_not_utf8(tmp_path):
    """A file in another encoding is told to be."""
    (tmp_path / ".dev.vars").write_bytes(b"A=caf\xe9")

    with pytest.raises(ProjectError, match="not UTF-8 at byte 5"):
        read_secrets(tmp_path)
