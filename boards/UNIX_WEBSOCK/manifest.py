# The host board: simulated hardware and the program's entry point, and what measuring needs, which
# ci/pack_assets.py has written.
freeze("modules")
freeze("../../build/bench", "bench_assets.py")
