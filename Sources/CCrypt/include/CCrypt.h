#ifndef CCRYPT_H
#define CCRYPT_H

#include <stdbool.h>

/// Whether `phrase` has the hash `hash` (crypt(5)). Takes as long as that hash is meant to take; how long the comparison takes
/// tells nothing. False too where the library does not know the hash's kind, or there is no memory.
bool ccrypt_matches(const char *phrase, const char *hash);

#endif
