"""Calls the libraries among the peers: METHOD BASE TARGET OUT."""

import sys

method, *paths = sys.argv[1:]
base, target = (open(path, "rb").read() for path in paths[:2])
if method.startswith("heatshrink-"):
    import heatshrink2

    window, lookahead = map(int, method.split("-")[1:])
    made = heatshrink2.compress(target, window_sz2=window, lookahead_sz2=lookahead)
else:
    import hdiffpatch

    made = {
        "hdiff-lzma": lambda: hdiffpatch.diff(base, target, hdiffpatch.LzmaConfig(9, 27)),
        "hdiff-lite-lzma": lambda: hdiffpatch.diff_lite(base, target, compression=hdiffpatch.LzmaConfig(9, 23)),
        # 32 KiB of dictionary, as much RAM as a microcontroller may have.
        "hdiff-lite-tuz": lambda: hdiffpatch.diff_lite(base, target, compression=hdiffpatch.TuzConfig(32768)),
    }[method]()
open(paths[2], "wb").write(made)
