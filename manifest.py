# Everything that is frozen into an image, on every board. What only one board needs is in
# boards/<BOARD>/manifest.py.

include("$(MPY_DIR)/extmod/asyncio")

# Compiled without optimisation: tracebacks keep their line numbers.
freeze("modules")

# Written by the build: the packed web page, and which version this is.
freeze("build/assets")
freeze("build/generated")

include("$(BOARD_DIR)/manifest.py")
