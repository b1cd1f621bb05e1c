/// Who may come, by address.
package struct AccessSpec: Sendable, Equatable {
    /// nil: everybody whom nothing denies.
    package var allow: [AddressBlock]?
    /// Wins over `allow`.
    package var deny: [AddressBlock] = []

    package init() {}

    /// Nobody is refused.
    package var isOpen: Bool { self.allow == nil && self.deny.isEmpty }
}

/// How many requests may come with one key.
package struct RateLimitSpec: Sendable, Equatable {
    /// Unique among the rules of its route.
    package var name: String
    package var key: RateKey
    package var rate: RateSpec
    /// Addresses of one such block are one client.
    package var ipv4Prefix: UInt8 = 32
    package var ipv6Prefix: UInt8 = 64
    /// Keys that are short of tokens at a time.
    package var entries: UInt32 = 65_536
    /// When `RateLimit-Policy` and `RateLimit` tell of it.
    package var telling = Telling.refusals
    /// Counted and logged, but not refused.
    package var dryRun = false
    /// Clients for which it does not hold.
    package var except: [AddressBlock] = []

    package enum Telling: Sendable, Equatable {
        case never, refusals
        /// In every answer of the route.
        case always
    }

    package init(name: String, key: RateKey, rate: RateSpec) {
        self.name = name
        self.key = key
        self.rate = rate
    }
}

package enum RateKey: Sendable, Equatable {
    case clientAddress
    /// Lower-case field name. A request without it is counted by its client's address.
    case header(String)
    case cookie(String)
    /// The user whom the route's basic authentication has found.
    case user
    /// All requests together.
    case all
}

/// Who may ask, by name and password (RFC 7617).
package struct BasicAuthSpec: Sendable, Equatable {
    package var realm: String
    /// Those that routes.json itself names.
    package var users: [UserSpec] = []
    /// A file with further ones; see `UserFile`.
    package var file: NamedFile?
    /// The upstream gets the Authorization field too.
    package var forwards = false
    /// A field that names the user to the upstream. Clients' own fields of that name go no further.
    package var userHeader: String?

    package init(realm: String) { self.realm = realm }

    /// Of routes.json and of the file, whose form has been checked.
    package var allUsers: [UserSpec] { self.users + (self.file.map { UserFile.read($0.bytes).users } ?? []) }
}

/// A name and the hash of its password, which is never printed.
package struct UserSpec: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var name: String
    /// By crypt(5).
    package var hash: String

    package init(name: String, hash: String) {
        self.name = name
        self.hash = hash
    }

    package var description: String { self.name }
    package var debugDescription: String { self.name }
    package var customMirror: Mirror { Mirror(self, children: ["name": self.name, "hash": "…"]) }
}

/// A form in which a body may be sent (RFC 9110 8.4.1).
package enum ContentCoding: Int, Sendable, CaseIterable {
    case gzip, brotli, zstd

    /// As `Content-Encoding` has it.
    package var token: StaticString {
        switch self {
        case .gzip: "gzip"
        case .brotli: "br"
        case .zstd: "zstd"
        }
    }

    /// Another name that clients may have for it (RFC 9110 8.4.1.3).
    package var alias: StaticString { self == .gzip ? "x-gzip" : "" }
}

/// Which answers are sent in a shorter form.
package struct CompressionSpec: Sendable, Equatable {
    /// The preferred one first, among those that a client wants alike.
    package var algorithms: [ContentCoding] = [.zstd, .brotli, .gzip]
    /// Bytes; shorter bodies go as they are.
    package var minimum: UInt64 = 1_024
    /// See `MediaTypes`.
    package var types = [
        "text/*", "application/json", "application/*+json", "application/javascript", "application/xml",
        "application/*+xml", "image/svg+xml", "application/wasm",
    ]
    /// Answers to requests with Cookie or Authorization too.
    package var credentials = true
    /// nil: of each algorithm the one that costs least for what it saves.
    package var level: UInt8?

    package init() {}
}
