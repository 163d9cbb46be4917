"""The preflight: what it finds wrong, and what it then says to do."""
import hashlib
import json
import types

import pytest
import torch

from electra_tutorial.course import doctor


def only(findings):
    (finding,) = findings
    return finding


def test_every_finding_is_ok_or_says_what_to_do():
    findings = doctor.examine()
    assert len(findings) >= 12
    for finding in findings:
        assert set(finding) == {"name", "state", "found", "remedy"}
        assert finding["state"] in ("ok", "note", "fix") and finding["found"]
        assert (finding["remedy"] == "") == (finding["state"] == "ok"), finding


def test_json_goes_alone_to_stdout_and_the_exit_code_says_whether_all_is_well(monkeypatch, capsys):
    for state, code in (("ok", 0), ("note", 0), ("fix", 1)):
        remedy = "" if state == "ok" else "Make room."
        finding = {"name": "disk", "state": state, "found": "字", "remedy": remedy}
        monkeypatch.setattr(doctor, "examine", lambda finding=finding: [finding])
        assert doctor.main(as_json=True) == code
        told = json.loads(capsys.readouterr().out)
        assert told == {"ok": code == 0, "checks": [finding]}
        assert doctor.main() == code
        words = capsys.readouterr().out
        assert words.startswith(state.upper()) and finding["remedy"] in words


def test_a_check_that_breaks_is_a_finding_and_the_others_still_run(monkeypatch):
    def breaks():
        raise RuntimeError("the moon is full")
    before = len(doctor.examine())
    monkeypatch.setattr(doctor, "disk", breaks)
    findings = doctor.examine()
    broken = only(finding for finding in findings if finding["name"] == "disk")
    assert broken["state"] == "fix" and "the moon is full" in broken["found"] and len(findings) == before


def test_pytorch_is_ok_if_it_starts_and_computes(monkeypatch):
    assert only(doctor.pytorch()) == doctor.ok("PyTorch", torch.__version__)
    monkeypatch.setattr(torch, "ones", torch.zeros)
    assert only(doctor.pytorch())["state"] == "fix"
    monkeypatch.setitem(doctor.sys.modules, "torch", None)  # makes `import torch` fail
    assert only(doctor.pytorch())["state"] == "fix"


def test_nothing_is_asked_of_cuda_where_there_is_none(monkeypatch):
    def explodes(*_, **__):
        raise AssertionError("CUDA was asked on a machine without a GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("get_device_capability", "get_device_name", "get_device_properties", "mem_get_info",
                 "current_device", "is_bf16_supported", "init"):
        monkeypatch.setattr(torch.cuda, name, explodes)
    assert only(doctor.device())["state"] in ("ok", "note")


def test_a_gpu_that_pytorch_does_not_use_is_pointed_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "nvidia_gpu", lambda: "A Fast One")
    finding = only(doctor.device())
    assert finding["state"] == "note" and "A Fast One" in finding["found"]
    assert "--torch-index" in finding["remedy"]
    monkeypatch.setattr(doctor, "nvidia_gpu", lambda: "")
    assert only(doctor.device())["state"] == "ok"


@pytest.mark.parametrize("works", [True, False])
def test_a_gpu_is_only_ok_if_it_computes(monkeypatch, works):
    def ones(*_, **__):
        if not works:
            raise RuntimeError("no kernel image is available for execution on the device")
        return torch.zeros(2)
    cuda = types.SimpleNamespace(get_device_name=lambda: "A Fast One", mem_get_info=lambda: (7e9, 8e9))
    finding = doctor.gpu(types.SimpleNamespace(cuda=cuda, ones=ones))
    assert finding["state"] == ("ok" if works else "note") and finding["found"].startswith("A Fast One")
    assert ("7 of 8 GB free" in finding["found"]) == works


def test_little_memory_is_a_note_and_a_containers_limit_counts(monkeypatch):
    import psutil
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=8e9, total=16e9))
    monkeypatch.setattr(doctor, "container_memory", lambda name: None)
    assert only(doctor.memory())["state"] == "ok"
    monkeypatch.setattr(doctor, "container_memory", {"memory.max": 4.0, "memory.current": 2.5}.get)
    finding = only(doctor.memory())
    assert finding["state"] == "note" and finding["found"] == "1.5 of 4.0 GB free"


def test_a_full_disk_must_be_mended(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=4e8))
    assert only(doctor.disk())["state"] == "fix"


# --- packages -----------------------------------------------------------------------------------------

def test_a_missing_package_must_be_mended_if_lessons_need_it(monkeypatch):
    real = doctor.installed
    for name, state in (("torch", "fix"), ("jupyterlab", "fix"), ("bertviz", "fix"), ("ruff", "note")):
        monkeypatch.setattr(doctor, "installed", lambda one, gone=name: "" if one == gone else real(one))
        finding = only(doctor.packages())
        assert finding["state"] == state and name in finding["found"]


def test_another_version_than_the_tested_one_is_a_note(monkeypatch):
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: "2.6.0+cu124" if name == "torch" else real(name))
    finding = only(doctor.packages())
    assert finding["state"] == "note" and "torch 2.6.0+cu124 (tested: ==2.13.0)" in finding["found"]


def test_a_local_build_of_the_tested_version_is_the_tested_version(monkeypatch):
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: "2.13.0+cu130" if name == "torch" else real(name))
    assert "torch" not in only(doctor.packages())["found"]


# --- data ---------------------------------------------------------------------------------------------

@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder that wants one archive of four bytes and one cleaned file of three, both there."""
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    archive, cleaned = (hashlib.sha256(text).hexdigest() for text in (b"four", b"abc"))
    (tmp_path / "sources.toml").write_text(
        f'[[archive]]\nname = "toy"\npackage = "toy"\nversion = "1"\nkind = "wheel"\n'
        f'file = "toy.whl"\nbytes = 4\nsha256 = "{archive}"\nlicence = "ours"\nabout = "a toy"\n'
        f'[[archive.member]]\nname = "a"\npath = "a"\nlicence = "ours"\nattribution = "us"\n'
        f'[outputs]\n"train.txt" = {{sha256 = "{cleaned}", bytes = 3}}\n')
    for folder, name, text in (("archives", "toy.whl", b"four"), ("course", "train.txt", b"abc")):
        (tmp_path / "cache" / folder).mkdir(parents=True)
        (tmp_path / "cache" / folder / name).write_bytes(text)
    return tmp_path


def test_whole_data_is_ok(data):
    assert [finding["state"] for finding in doctor.data()] == ["ok", "ok"]


@pytest.mark.parametrize("name, which", [("archives/toy.whl", 0), ("course/train.txt", 1)])
@pytest.mark.parametrize("text", [None, b"", b"fou", b"FOUR", b"ABC"])
def test_missing_shortened_and_changed_data_must_be_mended(data, name, which, text):
    path = data / "cache" / name
    path.unlink()
    if text is not None:
        path.write_bytes(text)
    findings = doctor.data()
    assert findings[which]["state"] == "fix" and "electra-tutorial data" in findings[which]["remedy"]
    assert findings[1 - which]["state"] == "ok"


def test_a_trained_model_cut_short_is_noticed(data):
    from safetensors.numpy import save
    folder = data / "mini-electra"
    assert only(doctor.trained_model())["state"] == "note"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    whole = save({"a": torch.zeros(100).numpy()})
    (folder / "model.safetensors").write_bytes(whole)
    assert only(doctor.trained_model())["state"] == "ok"
    for damaged in (whole[:200], b"", b"version https://git-lfs\noid sha256:0\n"):
        (folder / "model.safetensors").write_bytes(damaged)
        assert only(doctor.trained_model())["state"] == "note"


# --- pictures and JupyterLab --------------------------------------------------------------------------

def with_fonts(monkeypatch, known, files=()):
    from matplotlib import font_manager
    listed = [types.SimpleNamespace(name=name) for name in known]
    monkeypatch.setattr(font_manager, "fontManager", types.SimpleNamespace(ttflist=listed))
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(files))
    return [finding["state"] for finding in doctor.fonts()]


def test_fonts(monkeypatch):
    assert with_fonts(monkeypatch, ["DejaVu Sans", "Noto Sans CJK JP"]) == ["ok", "ok"]
    assert with_fonts(monkeypatch, ["DejaVu Sans"]) == ["ok", "note"]
    assert with_fonts(monkeypatch, []) == ["fix", "note"]


def test_a_font_installed_after_matplotlib_made_its_list_is_not_called_missing(monkeypatch):
    with_fonts(monkeypatch, ["DejaVu Sans"], ["fonts/NotoSansCJK-Regular.ttc"])
    assert "has not noticed" in doctor.fonts()[1]["found"]


@pytest.mark.parametrize("ipywidgets, manager, anywidget, state", [
    ("8.1.9", "5.0.16", "0.11.0", "ok"), ("8.1.9", "", "0.11.0", "fix"), ("8.1.9", "3.1.0", "0.11.0", "fix"),
    ("8.1.9", "5.0.16", "", "fix"), ("7.8.1", "3.1.0", "0.11.0", "ok")])
def test_widgets_need_a_front_end_of_their_own_kind(monkeypatch, ipywidgets, manager, anywidget, state):
    packages = {"jupyterlab": "4", "ipywidgets": ipywidgets, "anywidget": "0.11"}
    front_ends = {"@jupyter-widgets/jupyterlab-manager": manager, "anywidget": anywidget}
    monkeypatch.setattr(doctor, "installed", packages.get)
    monkeypatch.setattr(doctor, "front_end", front_ends.get)
    assert only(doctor.widgets())["state"] == state


def test_the_real_front_ends_are_found():
    assert doctor.front_end("@jupyter-widgets/jupyterlab-manager") and doctor.front_end("anywidget")
    assert doctor.front_end("no-such-extension") == ""


def test_another_pythons_kernel_is_noticed(monkeypatch, tmp_path):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for program, state in (("python", "ok"), (doctor.sys.executable, "ok"), ("/elsewhere/python", "note")):
        spec.write_text(json.dumps({"argv": [program], "display_name": "Python 3", "language": "python"}))
        assert only(doctor.kernel())["state"] == state


def test_lessons_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    assert only(doctor.lessons())["state"] == "fix"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "06_a.ipynb").touch()
    assert only(doctor.lessons())["state"] == "ok"
