"""A fingerprint stands for names and sizes of files: the same files the same number, others another."""

from worldling.data.fingerprint import files_fingerprint


def test_names_and_sizes_count_and_places_do_not(tmp_path):
    def number(folder, **sizes):
        (tmp_path / folder).mkdir()
        files = [tmp_path / folder / name for name in sizes]
        for file, size in zip(files, sizes.values(), strict=True):
            file.write_bytes(bytes(size))
        return files_fingerprint(tmp_path / folder, files)

    one = number("one", a=3, b=4)
    assert one == number("two", a=3, b=4) and 0 <= one < 2**32
    assert len({one, number("three", a=3, b=5), number("four", a=3, c=4), number("five", a=3)}) == 4
