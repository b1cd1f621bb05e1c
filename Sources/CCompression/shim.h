#pragma once
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>
