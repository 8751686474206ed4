/*
 * missing.h - segments that are lost or cut off.
 */
#ifndef STORAGE_MISSING_H
#define STORAGE_MISSING_H

struct store;

/* Logs each segment with messages that is not there whole. */
void missing_tell(struct store *);

#endif
