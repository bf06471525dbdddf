"""Where the admin key of this machine's server is found."""

from pathlib import Path

from inference.admin_key import find_admin_key


def test_the_key_comes_from_the_environment_or_the_launchers_file(tmp_path: Path) -> None:
    directory = {"EDGELENS_RUNTIME_DIR": str(tmp_path)}
    assert find_admin_key(directory) == ""
    (tmp_path / "admin-key").write_text("from-the-file\n")
    assert find_admin_key(directory) == "from-the-file"
    assert find_admin_key({**directory, "TRITON_ADMIN_KEY": " given "}) == "given"
