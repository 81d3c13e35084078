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
    "analysis/capture",
    "analysis/detectors/ending",
    "analysis/detectors/handshake",
    "analysis/detectors/integrity",
    "analysis/detectors/liveness",
    "analysis/detectors/loss",
    "analysis/detectors/path",
    "analysis/detectors/window",
)


def compiled() -> list[Extension]:
    if os.environ.get("TCPHARNESS_COMPILE") == "no":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    modules = [
        Extension(
            f"tcpharness.{path.replace('/', '.')}",
            [f"tcpharness/{path}.py"],
            extra_compile_args=["-O3", "-g0"],
            optional=True,
        )
        for path in HOT
    ]
    # An annotation is for people and mypy; the widths are in the .pxd beside each source.
    directives = {"language_level": 3, "annotation_typing": False}
    found: list[Extension] = cythonize(modules, compiler_directives=directives, build_dir="build/cython")
    return found


setup(ext_modules=compiled())
