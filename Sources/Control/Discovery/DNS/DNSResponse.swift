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

/// An answer whose aliases have been followed.
struct DNSAnswer: Equatable, Sendable {
    /// What the question's aliases end at.
    var name: DNSName
    var response: DNSResponse

    var exists: Bool { self.response.code == .noError }
    var addresses: [IPAddress] { self.response.addresses(of: self.name) }
    var services: [DNSService] { self.response.services(of: self.name) }
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

    /// The name that the chain of aliases from `name` ends at within this answer; nil if it does not end.
    func end(of name: DNSName) -> DNSName? {
        var name = name
        for _ in 0...Self.aliasLimit {
            let next = self.answers.lazy.compactMap { record -> DNSName? in
                if record.name == name, case .alias(let next) = record.content { next } else { nil }
            }.first
            guard let next else { return name }
            name = next
        }
        return nil
    }

    func hasRecords(of name: DNSName) -> Bool { self.answers.contains { $0.name == name } }

    /// The records of `name` itself, or of what its chain of aliases ends at.
    private func contents(of name: DNSName) -> [DNSRecord.Content] {
        guard let end = self.end(of: name) else { return [] }
        return self.answers.filter { $0.name == end }.map(\.content)
    }

    func addresses(of name: DNSName) -> [IPAddress] {
        self.contents(of: name).compactMap { if case .address(let address) = $0 { address } else { nil } }
    }

    func services(of name: DNSName) -> [DNSService] {
        self.contents(of: name).compactMap { if case .service(let service) = $0 { service } else { nil } }
    }
}
