"""Settings of glibc's allocator, which all frameworks take CPU memory from: mallopt(3), "Environment variables"."""

# glibc gives freed activations back to the kernel after every step and faults them in again: 10-25 % of a convolution
# model's step. Every backend has these in the expert manner, so that none gets the gain by accident; in the recommended
# one those whose own guides advise it.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
