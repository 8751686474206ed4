/*
 * lmdb_page.h - how LMDB 0.9 lays out its pages (data version 1, 64 bit): for audit.c, which judges an
 * index before LMDB opens it, and for tree.c and leaves.c, which read one that has been judged.
 */
#ifndef STORAGE_LMDB_PAGE_H
#define STORAGE_LMDB_PAGE_H

#define PAGE_HEAD   16 /* the page's number, its kind, and where its nodes end and begin */
#define NODE_HEAD   8  /* before a node's key */
#define DB_SIZE     48 /* what is known of a table's tree */
#define DB_DEPTH_AT 6
#define DB_ROOT_AT  40
#define DEPTH_MAX   32

enum { P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4 };
enum { N_BIG = 1, N_SUB = 2 };

#endif
