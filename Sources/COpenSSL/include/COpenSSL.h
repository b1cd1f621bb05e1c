#ifndef COPENSSL_H
#define COPENSSL_H

// OpenSSL as the balancer uses it. Many of the library's calls are macros, and its callbacks take types that Swift cannot
// name: they stand in the .c file. Every call clears the library's queue of errors first and reads it right afterwards, for
// the queue belongs to the thread, and a stale entry would blame another connection.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;

/// What the sessions of one thread read their records from and write them to: one after the other, never two at a time.
typedef struct copenssl_io {
    /// Records that were received and not taken yet.
    const uint8_t *input;
    size_t input_count;
    /// Nothing comes behind `input`.
    bool input_ended;
    uint8_t *output;
    size_t output_count;
    size_t output_capacity;
    /// KeyUpdate messages that the session at work may still receive; below 0 it has sent too many and is read no further.
    int32_t key_updates_left;
    /// Sessions that an endpoint has allowed to be resumed since this was set to 0.
    uint32_t sessions;
} copenssl_io;

/// A BIO over `io`, which outlives it. Sessions share it. NULL: no memory.
BIO *copenssl_bio_new(copenssl_io *io);
void copenssl_bio_free(BIO *bio);

typedef enum copenssl_result {
    COPENSSL_DONE = 0,
    /// More records are needed.
    COPENSSL_WANTS = 1,
    /// The peer has said that nothing follows (close_notify).
    COPENSSL_CLOSED = 2,
    COPENSSL_FAILED = 3,
} copenssl_result;

// Sessions

/// NULL: no memory. Holds the context and the BIO for as long as it lives.
SSL *copenssl_accepting(SSL_CTX *context, BIO *bio);
/// `name`: asked for by SNI and demanded of the certificate, unless it is an address, which is demanded alone.
SSL *copenssl_connecting(SSL_CTX *context, BIO *bio, const char *name, bool is_address, bool verifies);
/// Protocols to agree on by ALPN, each behind a byte of its length, the dearest first. False: no memory.
bool copenssl_offer_protocols(SSL *ssl, const unsigned char *names, unsigned int count);
void copenssl_free(SSL *ssl);
copenssl_result copenssl_handshake(SSL *ssl);
/// Reads until the room is full or the records are used up. `count` is set in every case: DONE and WANTS may both have bytes.
copenssl_result copenssl_read(SSL *ssl, void *room, size_t size, size_t *count);
/// Bytes that a read would give without another record.
size_t copenssl_pending(const SSL *ssl);
/// Whether part of a record has been taken in, or more that a read would give.
bool copenssl_has_part(const SSL *ssl);
/// One record, or several where the peer wants smaller ones.
bool copenssl_write(SSL *ssl, const void *bytes, size_t count);
/// Says that nothing follows.
void copenssl_shutdown(SSL *ssl);
/// 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
int copenssl_version(const SSL *ssl);
bool copenssl_resumed(const SSL *ssl);
/// The cipher suite's name by the IANA registry, which is never freed.
const char *copenssl_cipher(const SSL *ssl);
/// The protocol agreed on by ALPN; false: none.
bool copenssl_is_http2(const SSL *ssl);
/// The name that the client asked for; NULL: none. Valid as long as the session.
const char *copenssl_server_name(const SSL *ssl);
/// The peer's certificate is over by now: a session that is resumed has it from before.
bool copenssl_has_ended_peer(const SSL *ssl);
/// The peer has shown a certificate.
bool copenssl_has_peer_certificate(const SSL *ssl);
/// The peer's certificate in DER (index 0), and behind it the path by which it was verified, up to the authority; a session
/// that was resumed has no path. Copied out; returns its length, 0 if there is none of that number or it does not fit.
size_t copenssl_peer_certificate(const SSL *ssl, size_t index, uint8_t *room, size_t size);

typedef enum copenssl_failure {
    COPENSSL_FAILURE_PROTOCOL = 0,
    COPENSSL_FAILURE_PLAIN_HTTP,
    COPENSSL_FAILURE_NO_SHARED_CIPHER,
    COPENSSL_FAILURE_UNKNOWN_NAME,
    COPENSSL_FAILURE_CLIENT_CERTIFICATE,
    COPENSSL_FAILURE_ALPN,
    COPENSSL_FAILURE_CERTIFICATE,
    COPENSSL_FAILURE_KEY_UPDATES,
} copenssl_failure;

/// Why the last call of this thread failed, and in the library's words, cut to `size`.
copenssl_failure copenssl_reason(const SSL *ssl, char *text, size_t size);

// Contexts

/// A library context of its own: the library takes locks in it at every fetch. NULL: no memory.
/// Never freed: each thread that has drawn random bytes in it keeps a pointer to it until the thread ends.
OSSL_LIB_CTX *copenssl_library_new(void);

/// Keys of session tickets: the first encrypts, all decrypt.
typedef struct copenssl_tickets copenssl_tickets;
enum { COPENSSL_TICKET_KEY = 80, COPENSSL_TICKET_KEYS = 4 };
copenssl_tickets *copenssl_tickets_new(void);
void copenssl_tickets_free(copenssl_tickets *tickets);
/// `keys`: `count` keys of 80 bytes each (name 16, HMAC 32, AES 32), at most 4, the first of which encrypts.
void copenssl_tickets_set(copenssl_tickets *tickets, const uint8_t *keys, size_t count);
/// SHA-256.
bool copenssl_digest(const void *bytes, size_t count, uint8_t digest[32]);
/// Fills `room` with random bytes; false: the library has none.
bool copenssl_random(uint8_t *room, size_t count);

/// HMAC-SHA-256 under a key, its algorithms fetched once: for one thread. NULL: no memory.
typedef struct copenssl_mac copenssl_mac;
copenssl_mac *copenssl_mac_new(const uint8_t key[32]);
void copenssl_mac_free(copenssl_mac *mac);
bool copenssl_mac_make(copenssl_mac *mac, const void *bytes, size_t count, uint8_t code[32]);

/// A listener, as the callbacks of its contexts see it. The address stays the same as long as one of them lives.
typedef struct copenssl_listener {
    /// Answers the context for a lower-case name; NULL: the client is refused. Called on the thread of the session.
    SSL_CTX *(*choose)(void *owner, const char *name, size_t length);
    void *owner;
    copenssl_tickets *tickets;
    bool http2;
    uint64_t ticket_seconds;
} copenssl_listener;

typedef struct copenssl_server_options {
    int minimum_version;
    /// NULL: the default.
    const char *groups;
    const char *cipher_suites;
    const char *ciphers;
    /// 32 bytes: a session is resumed only where it is the same.
    const uint8_t *session_context;
    /// 0: none asked for; 1: asked for; 2: demanded.
    int client_certificates;
    int depth;
    const char *client_authorities;
    size_t client_authorities_count;
    const char *revoked;
    size_t revoked_count;
} copenssl_server_options;

/// NULL: `text` says why.
SSL_CTX *copenssl_server_new(
    OSSL_LIB_CTX *library, copenssl_listener *listener, const copenssl_server_options *options, char *text, size_t size);

typedef struct copenssl_client_options {
    int minimum_version;
    bool verifies;
    /// NULL: the system's.
    const char *authorities;
    size_t authorities_count;
} copenssl_client_options;

SSL_CTX *copenssl_client_new(
    OSSL_LIB_CTX *library, const copenssl_client_options *options, char *text, size_t size);
void copenssl_context_free(SSL_CTX *context);

/// Adds a certificate with its chain, its key, and (count 0: none) the answer of its OCSP responder. False: `text` says why.
bool copenssl_use(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *chain, size_t chain_count, const char *key, size_t key_count,
    const uint8_t *staple, size_t staple_count, char *text, size_t size);

/// Sessions to resume, for the client's side: the last that the endpoint gave is kept in `slot`, which the caller frees.
typedef struct ssl_session_st SSL_SESSION;
SSL_SESSION *copenssl_take_session(SSL *ssl);
void copenssl_offer_session(SSL *ssl, SSL_SESSION *session);
void copenssl_session_free(SSL_SESSION *session);

// Certificates as files hold them

typedef struct copenssl_certificate {
    /// Seconds of the epoch.
    int64_t not_before;
    int64_t not_after;
    char fingerprint[65];
    /// SHA-256 of the public key (SubjectPublicKeyInfo): the same after a renewal that keeps the key.
    uint8_t public_key[32];
    char key_type[16];
    /// DNS names and addresses of the subject, lower-case, separated by line feeds; cut where they do not fit.
    char names[65536];
} copenssl_certificate;

/// The names, for Swift cannot see a member of that size.
const char *copenssl_names(const copenssl_certificate *certificate);

/// Reads the first certificate and tries its key against it. `key_count` 0: no key is tried. False: `text` says why.
bool copenssl_inspect(
    const char *chain, size_t chain_count, const char *key, size_t key_count, copenssl_certificate *certificate, char *text,
    size_t size);
/// When an OCSP answer (DER) begins and ends to be good, in seconds of the epoch. False: it is none.
bool copenssl_staple_times(const uint8_t *staple, size_t count, int64_t *begins, int64_t *ends);
/// When the first of the revocation lists in `pem` ends to be good, in seconds of the epoch; INT64_MAX: none says so. False: there
/// is none.
bool copenssl_revoked_ends(const char *pem, size_t count, int64_t *ends);
/// Certificates in `pem`. 0: there is none.
size_t copenssl_count_certificates(const char *pem, size_t count);

#endif
