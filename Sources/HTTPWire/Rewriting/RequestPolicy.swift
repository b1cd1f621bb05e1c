/// What a route does to every request that it forwards. One object a route, shared by reference.
package final class RequestPolicy: Sendable {
    package enum Path: Sendable {
        case keep
        /// Replaces this prefix of a path that has it up to a segment border; other paths stay as they are.
        case replace(prefix: [UInt8], with: [UInt8])
    }

    /// What becomes of fields whose name has a `_`, which CGI and its heirs read as a hyphen.
    package enum Underscores: Sendable {
        case drop
        /// All but those that read as a field which proxies write or drop.
        case keep
        /// See `refusal`.
        case refuse
    }

    package let path: Path
    /// nil: the client's Host is kept.
    package let host: [UInt8]?
    /// Our pseudonym; empty: no Via, and the passes are counted in a field of our own.
    package let via: [UInt8]
    package let xForwarded: Bool
    package let forwarded: Bool
    package let requestID: Bool
    /// The client's certificate goes along (`RequestContext.addedLines`), for the route says nothing else about it.
    package let forwardsCertificate: Bool
    package let underscores: Underscores
    package let edits: FieldEdits
    /// Names the user to the upstream (`RequestContext.addedLines`), in lower case; empty: none does. Clients' own fields of the
    /// name are among those that `edits` drops.
    let userHeader: [UInt8]

    // Made once.
    let hostLine: [UInt8]
    /// For requests in HTTP/1.0 and HTTP/1.1.
    let viaLines: (old: [UInt8], current: [UInt8])
    let writesVia: Bool
    let rewritesPath: Bool

    package init(
        path: Path, host: [UInt8]?, via: [UInt8], xForwarded: Bool, forwarded: Bool, requestID: Bool,
        underscores: Underscores = .drop, edits: FieldEdits, userHeader: String? = nil,
        forwardsCertificate: Bool = false
    ) {
        self.path = path
        self.host = host
        self.via = via
        self.xForwarded = xForwarded
        self.forwarded = forwarded
        self.requestID = requestID
        self.forwardsCertificate = forwardsCertificate && !edits.origin.contains(.clientCertificate)
        self.underscores = underscores
        self.edits = edits
        self.userHeader = userHeader.map { Array($0.lowercased().utf8) } ?? []
        self.hostLine = host.map { Array("Host: ".utf8) + $0 + [0x0D, 0x0A] } ?? []
        self.viaLines = (
            old: Array("Via: 1.0 ".utf8) + via + [0x0D, 0x0A], current: Array("Via: 1.1 ".utf8) + via + [0x0D, 0x0A]
        )
        self.writesVia = !via.isEmpty && !edits.origin.contains(.via)
        self.rewritesPath =
            switch path {
            case .keep: false
            case .replace: true
            }
    }

    /// Why a request with these fields is answered 400 instead of forwarded; nil: it is not.
    package func refusal(of fields: borrowing FieldTable) -> HeadError? {
        switch self.underscores {
        case .refuse: fields.hasUnderscores ? .malformed(.underscoreInName) : nil
        case .drop, .keep: nil
        }
    }
}
