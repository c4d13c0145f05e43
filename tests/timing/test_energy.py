from types import SimpleNamespace

from worldling.timing.energy import nvml_counter, open_meter


def zone(folder, number, name, joules, wraps_at=1000):
    path = folder / f"intel-rapl:{number}"
    path.mkdir(exist_ok=True)
    for file, text in (("name", name), ("energy_uj", joules * 1e6), ("max_energy_range_uj", wraps_at * 1e6)):
        (path / file).write_text(text if isinstance(text, str) else f"{text:.0f}\n")
    return path


def test_nothing_to_read_is_no_meter(tmp_path):
    assert open_meter(None, tmp_path / "none") is None
    (zone(tmp_path, "0", "package-0\n", 5) / "energy_uj").unlink()
    assert open_meter(None, tmp_path) is None, "a counter that is not for us to read"


def test_packages_are_counted_once_and_over_the_start_of_the_counter(tmp_path):
    zone(tmp_path, "0", "package-0\n", 990)
    zone(tmp_path, "1", "package-1\n", 10)
    zone(tmp_path, "0:0", "core\n", 400)  # lies inside its package
    meter = open_meter(None, tmp_path)
    assert meter.sources == ["package-0", "package-1"] and meter.joules() == 0
    zone(tmp_path, "0", "package-0\n", 20)
    zone(tmp_path, "1", "package-1\n", 15)
    assert round(meter.joules(), 3) == 30 + 5
    assert round(meter.joules(), 3) == 35, "asking costs nothing"


def test_a_gpu_counts_in_millijoules_if_it_counts():
    def energy(handle, out):
        out._obj.value = 2500
        return 0

    library = SimpleNamespace(
        nvmlInit_v2=lambda: 0, nvmlDeviceGetHandleByUUID=lambda uuid, out: 0, nvmlDeviceGetTotalEnergyConsumption=energy
    )
    read, _ = nvml_counter(library, "GPU-1")
    assert read() == 2.5
    library.nvmlDeviceGetTotalEnergyConsumption = lambda handle, out: 3  # not supported
    assert nvml_counter(library, "GPU-1") is None
