# The host board: simulated hardware, the program's entry point, and what measuring needs.
import os
import random

freeze("modules")

# /bench/30k: bytes that don't compress, the same in every build.
folder = "../../build/bench"
if not os.path.exists(folder + "/bench_data.py"):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/bench_data.py", "w") as file:
        file.write(f"BYTES = {random.Random(30000).randbytes(30000)!r}\n")
freeze(folder)
