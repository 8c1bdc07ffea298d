"""The environment variables for a server of a language model."""

ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=33554432",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
"""Start a process that loads an engine with these variables. They put large blocks of memory into huge pages (Linux).

A step reads every weight once, and reading memory is faster with fewer pages. glibc requests huge pages only for its
main heap, so all threads share it, and it holds blocks of up to 32 MB: with a second heap, the weights were in small
pages in two starts of three. Threads reuse the memory that others free, so a busy server's memory does not grow.
oneDNN keeps 64 compiled kernels instead of 1,024: each new number of tokens in a step compiles some.
https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
"""
