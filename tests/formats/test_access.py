import pytest

from agent.formats.access import told_modes


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("755\n", [0o755]),
        ("2700 4096\n644 524288\n", [0o2700, 0o644]),
        ("", []),
        ("8\n", []),
        ("-700\n", []),
        ("755\nrubbish\n", []),
        ("0" * 100_000, []),
        ("\u0667\u0665\u0665\n", []),
    ],
)
def test_modes_are_what_stat_prints_and_nothing_else(text, modes):
    assert told_modes(text) == modes
