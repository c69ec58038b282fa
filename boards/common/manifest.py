# Frozen on every ESP32 board: what the boards share, and the port's own modules that the product
# needs: those that mount the filesystem, and `machine`. Left out are apa106 and espnow.

freeze("modules")
freeze("$(PORT_DIR)/modules", ("_boot.py", "flashbdev.py", "inisetup.py", "machine.py"))
