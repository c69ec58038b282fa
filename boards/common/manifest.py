# Frozen on every ESP32 board: what the boards share, and the port's own modules that the product
# needs. Left out of the port's are apa106 and espnow, and _boot with inisetup, in whose place
# modules/_boot.py runs.

freeze("modules")
freeze("$(PORT_DIR)/modules", ("flashbdev.py", "machine.py"))
