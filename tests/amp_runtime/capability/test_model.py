import json

from amp_runtime.capability import DTYPES, judge
from tests.amp_runtime.capability.devices import cpu, lacking, nvidia, works


def test_the_text_names_the_device_each_format_and_the_choice_for_amp():
    lines = judge(cpu("avx512_bf16"), lacking("tf32")).as_text().splitlines()
    assert lines[0] == "cpu: test CPU"
    assert [line.split()[0] for line in lines[1:-1]] == list(DTYPES)
    assert "tf32          absent    tf32 failed: not implemented (probe)" in lines[3]
    assert lines[-1] == "  AMP: bf16, because bf16 is native: the CPU has avx512_bf16"


def test_the_text_says_why_amp_would_be_slower():
    assert "AMP: fp32, because AMP would be slower here" in judge(cpu(), works).as_text()


def test_the_dictionary_is_json_and_says_the_same_as_the_object():
    found = judge(nvidia(7, 5), lacking("tf32"))
    read = json.loads(json.dumps(found.as_dict()))
    assert (read["device"], read["kind"], read["name"]) == ("cuda", "cuda", "test GPU")
    assert read["amp"]["precision"] == "fp16"
    assert {name: row["level"] for name, row in read["dtypes"].items()} == {
        name: support.level for name, support in found.dtypes.items()
    }
    assert read["dtypes"]["tf32"] == {"level": "absent", "reason": "tf32 failed: not implemented", "source": "probe"}
