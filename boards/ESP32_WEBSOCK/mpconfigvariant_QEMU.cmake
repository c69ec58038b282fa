# For Espressif's QEMU: no Wi-Fi, and network.LAN over the emulator's network card, which needs
# ports_patch/esp32-lan-openeth.patch. For one core: with two, each access to the flash stops the
# other core, for which an emulated core waits in a loop, some 30 ms for a block and more on a busy
# computer.
list(APPEND SDKCONFIG_DEFAULTS
    ${WEBSOCK_COMMON}/sdkconfig.qemu
    ${WEBSOCK_COMMON}/sdkconfig.unicore
)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="websock in QEMU"
    MICROPY_PY_NETWORK_LAN=1
    MICROPY_PY_NETWORK_WLAN=0
)
