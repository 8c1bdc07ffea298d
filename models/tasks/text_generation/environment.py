"""The variables that a server of a language model is started with."""

ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=33554432",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
"""What a process that loads an engine is to be started with: large blocks of memory in huge pages, where Linux can.

A step reads every weight once, and memory is read faster across fewer pages. glibc asks for huge pages only in its
main heap, so all threads share that one, and blocks of up to 32 MB come from it: with a second heap, the weights were
in small pages in two starts of three. What one thread frees the others can use, so a busy server's memory stays flat.
oneDNN keeps 64 compiled kernels, not 1,024: each new number of tokens in a step compiles some.
https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
"""
