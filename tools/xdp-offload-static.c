/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the static libelf of elfutils 0.192, Debian 13's, calls but lacks
 *
 * Its elf_begin() and elf_end() prepare and release a tree of chunks, by two
 * functions that are in no archive (sourceware's bug 32293).  Only
 * elf_getdata_rawchunk() puts something in; libbpf never calls it, so the tree
 * stays as it was allocated: empty.  A libelf that has the functions replaces
 * these as soon as anything else of that tree is linked.
 */

void eu_search_tree_init(void *tree);
void eu_search_tree_fini(void *tree, void (*free_node)(void *));

__attribute__((weak)) void eu_search_tree_init(void *tree)
{
    (void)tree;
}

__attribute__((weak)) void eu_search_tree_fini(void *tree,
                                               void (*free_node)(void *))
{
    (void)tree;
    (void)free_node;
}
