# What every ESP32 board of this product shares. A board's mpconfigboard.cmake includes it first and
# then appends its chip's sdkconfig fragments to SDKCONFIG_DEFAULTS; a variant appends after that.
#
# A relative name in SDKCONFIG_DEFAULTS is a file of MicroPython's port (ports/esp32).

get_filename_component(WEBSOCK_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(WEBSOCK_COMMON ${CMAKE_CURRENT_LIST_DIR})

# The one list of what is frozen. It includes ${MICROPY_BOARD_DIR}/manifest.py.
set(MICROPY_FROZEN_MANIFEST ${WEBSOCK_ROOT}/manifest.py)
foreach(WRITTEN_BY_THE_BUILD build/assets/assets.py build/generated/build_info.py)
    if(NOT EXISTS ${WEBSOCK_ROOT}/${WRITTEN_BY_THE_BUILD})
        message(FATAL_ERROR
            "${WRITTEN_BY_THE_BUILD} is missing: run 'make source assets' in ${WEBSOCK_ROOT}")
    endif()
endforeach()

# btree is not used. Without it and without packages of micropython-lib, the build needs none of
# MicroPython's submodules; the port insists on a folder with a README.md as the library.
set(MICROPY_PY_BTREE OFF)
get_filename_component(MICROPY_LIB_DIR ${CMAKE_CURRENT_SOURCE_DIR}/../../lib ABSOLUTE)

# ESP-IDF reads the partition table's name relative to the port, wherever that is: a fragment with
# the absolute path is written for each build.
set(WEBSOCK_PARTITIONS ${CMAKE_BINARY_DIR}/sdkconfig.partitions)
file(WRITE ${WEBSOCK_PARTITIONS}
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${WEBSOCK_COMMON}/partitions-4MiB.csv\"\n")

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${WEBSOCK_COMMON}/sdkconfig.product
    ${WEBSOCK_PARTITIONS}
)
