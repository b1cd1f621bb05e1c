#define _GNU_SOURCE
#include "CCrypt.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

bool ccrypt_matches(const char *phrase, const char *hash) {
    void *data = NULL;
    int size = 0;
    const char *made = crypt_ra(phrase, hash, &data, &size);
    bool matches = false;
    // What failed begins with an asterisk, which no hash does.
    if (made != NULL && made[0] != '*' && strlen(made) == strlen(hash)) {
        volatile unsigned char difference = 0;
        for (size_t index = 0; hash[index] != '\0'; index++) difference |= (unsigned char)(made[index] ^ hash[index]);
        matches = difference == 0;
    }
    if (data != NULL) {
        if (size > 0) explicit_bzero(data, (size_t)size);
        free(data);
    }
    return matches;
}
