/*
 * base64.h - RFC 4648 section 4, for octets inside JSON.
 */
#ifndef CORE_BASE64_H
#define CORE_BASE64_H

#include <stddef.h>

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_SIZE(n) octets, without a zero; returns how many. */
size_t base64_encode(const void *bytes, size_t n, char *out);

#endif
