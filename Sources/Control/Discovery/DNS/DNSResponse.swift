import Traffic

/// One record of a kind that matters here; others are passed over.
struct DNSRecord: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        case address(IPAddress)
        case alias(DNSName)
        case service(DNSService)
    }

    var name: DNSName
    var content: Content
}

/// The data of an SRV record.
struct DNSService: Equatable, Sendable {
    var priority: UInt16
    var weight: UInt16
    var port: UInt16
    var target: DNSName
}

/// The answer to one question.
struct DNSResponse: Equatable, Sendable {
    /// RCODE (RFC 1035 §4.1.1).
    enum Code: Equatable, Sendable {
        case noError
        case formatError
        case serverFailure
        case nameError
        case notImplemented
        case refused
        case other(UInt8)
    }

    var code: Code
    /// Only a part of the answer: ask again over TCP. No records are read then.
    var isTruncated = false
    var answers: [DNSRecord] = []
    var additional: [DNSRecord] = []
}

extension DNSResponse.Code {
    init(_ value: UInt8) {
        switch value {
        case 0: self = .noError
        case 1: self = .formatError
        case 2: self = .serverFailure
        case 3: self = .nameError
        case 4: self = .notImplemented
        case 5: self = .refused
        default: self = .other(value)
        }
    }

    /// As operators know it.
    var words: String {
        switch self {
        case .noError: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        case .other(let value): "RCODE \(value)"
        }
    }
}

extension DNSResponse {
    /// Aliases followed within one answer.
    private static let aliasLimit = 16

    /// The records of `name` itself, or of what its chain of aliases ends at.
    private func contents(of name: DNSName) -> [DNSRecord.Content] {
        var name = name
        for _ in 0...Self.aliasLimit {
            let own = self.answers.filter { $0.name == name }.map(\.content)
            guard case .alias(let next)? = own.first(where: { if case .alias = $0 { true } else { false } }) else {
                return own
            }
            name = next
        }
        return []
    }

    func addresses(of name: DNSName) -> [IPAddress] {
        self.contents(of: name).compactMap { if case .address(let address) = $0 { address } else { nil } }
    }

    func services(of name: DNSName) -> [DNSService] {
        self.contents(of: name).compactMap { if case .service(let service) = $0 { service } else { nil } }
    }
}
