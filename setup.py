"""The compiled core: the same sources, translated by Cython when the package is built.

Everything else is in pyproject.toml. Without Cython or a C compiler, or with TCPHARNESS_COMPILE=no, the
package installs and works as plain Python, slower; `tcpharness doctor` says which one it is.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

HOT = (
    "packet/sums",
    "packet/source",
    "packet/segment",
    "packet/pcapng",
    "packet/pcap",
    "analysis/state",
    "analysis/order",
    "analysis/resets",
    "analysis/flow",
    "analysis/crowd",
    "analysis/capture",
    "analysis/detectors/acks",
    "analysis/detectors/ending",
    "analysis/detectors/handshake",
    "analysis/detectors/integrity",
    "analysis/detectors/liveness",
    "analysis/detectors/loss",
    "analysis/detectors/pace",
    "analysis/detectors/path",
    "analysis/detectors/vantage",
    "analysis/detectors/window",
)
# Made by the thousand, and in no cycle: not the collector's, and used again.
LEAVES = ("analysis/hit", "analysis/records")


def compiled() -> list[Extension]:
    if os.environ.get("TCPHARNESS_COMPILE") == "no":
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Options import get_directive_defaults
    except ImportError:
        return []
    # Known, so that a whole module may have them: a decorator would ask the plain source to import Cython.
    get_directive_defaults().update(no_gc=False, freelist=0)
    # An annotation is for people and mypy; the widths are in the .pxd beside each source.
    plain = {"language_level": 3, "annotation_typing": False}
    found: list[Extension] = []
    for paths, directives in ((HOT, plain), (LEAVES, plain | {"no_gc": True, "freelist": 512})):
        modules = [extension(path) for path in paths]
        found += cythonize(modules, compiler_directives=directives, build_dir="build/cython")
    return found


def extension(path: str) -> Extension:
    return Extension(
        f"tcpharness.{path.replace('/', '.')}",
        [f"tcpharness/{path}.py"],
        extra_compile_args=["-O3", "-g0"],
        optional=True,
    )


setup(ext_modules=compiled())
