# Only in the image that is tested without memory: a product's allocations fail by themselves.
ifeq ($(FAILING_ALLOCATIONS),1)
SRC_USERMOD += $(USERMOD_DIR)/failing.c
LDFLAGS_USERMOD += -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc
endif
