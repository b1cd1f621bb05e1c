#pragma once
#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// HPACK (RFC 7541) only. Newer releases deprecate these two for variants of another integer type; both stay.

static inline ssize_t cnghttp2_inflate(
    nghttp2_hd_inflater *inflater, nghttp2_nv *field, int *flags, const uint8_t *bytes, size_t count, int isLast) {
    return nghttp2_hd_inflate_hd2(inflater, field, flags, bytes, count, isLast);
}

static inline ssize_t cnghttp2_deflate(
    nghttp2_hd_deflater *deflater, uint8_t *room, size_t count, const nghttp2_nv *fields, size_t fieldCount) {
    return nghttp2_hd_deflate_hd(deflater, room, count, fields, fieldCount);
}
