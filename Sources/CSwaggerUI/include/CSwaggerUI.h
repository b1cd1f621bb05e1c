// The files of the gateway's documentation page: where each begins, and how many bytes it has.
#ifndef CSWAGGERUI_H
#define CSWAGGERUI_H

#include <stddef.h>

extern const unsigned char gateway_swagger_script[], gateway_swagger_script_end[];
extern const unsigned char gateway_swagger_style[], gateway_swagger_style_end[];
extern const unsigned char gateway_swagger_icon[], gateway_swagger_icon_end[];

static inline const unsigned char *swagger_script(size_t *count) {
    *count = (size_t)(gateway_swagger_script_end - gateway_swagger_script);
    return gateway_swagger_script;
}

static inline const unsigned char *swagger_style(size_t *count) {
    *count = (size_t)(gateway_swagger_style_end - gateway_swagger_style);
    return gateway_swagger_style;
}

static inline const unsigned char *swagger_icon(size_t *count) {
    *count = (size_t)(gateway_swagger_icon_end - gateway_swagger_icon);
    return gateway_swagger_icon;
}

#endif
