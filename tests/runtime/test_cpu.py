"""What is read of the processor."""

import pytest

from mmtf.runtime import cpu


@pytest.mark.parametrize(
    "flags, widest, bfloat16",
    [
        ("sse avx avx2", "avx2", False),
        ("avx2 avx512f avx512_bf16x", "avx512f", False),
        ("avx2 avx512f avx512_bf16", "avx512_bf16", True),
        ("avx512_bf16 amx_bf16 avx2", "amx_bf16", True),
        ("", "", False),
    ],
)
def test_the_widest_instructions_count(monkeypatch, flags, widest, bfloat16):
    monkeypatch.setattr(cpu, "_of_cpuinfo", lambda field: flags)
    assert cpu.instruction_set() == widest
    assert cpu.has_bfloat16() is bfloat16
