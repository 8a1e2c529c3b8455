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
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(cpu, "_of_cpuinfo", lambda field: flags)
    assert cpu.instruction_set() == widest
    assert cpu.has_bfloat16() is bfloat16


@pytest.mark.parametrize(
    "limit, widest",
    [
        ("sse41", ""),
        ("AVX2", "avx2"),
        ("avx512_core_vnni", "avx512f"),
        ("AVX512_CORE_FP16", "avx512_bf16"),
        ("AVX10_1_512_AMX", "amx_bf16"),
        ("DEFAULT", "amx_bf16"),
        ("", "amx_bf16"),
    ],
)
def test_what_onednn_may_not_use_does_not_count(monkeypatch, limit, widest):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    monkeypatch.setattr(cpu, "_of_cpuinfo", lambda field: "avx2 avx512f avx512_bf16 amx_bf16")
    assert cpu.instruction_set() == widest
    assert cpu.has_bfloat16() == (widest in cpu.BFLOAT16_SETS)
