/// Fields that a route removes from, or sets on, a message. Built once with the table; used per request without
/// allocating.
package struct FieldEdits: Sendable {
    /// Lower-case names to leave out: those removed and those replaced.
    private let dropped: [[UInt8]]
    /// The lines to add, ready to copy.
    package let lines: [UInt8]

    /// Those of the fields that the proxy itself adds to requests which the route decides about instead.
    let origin: OriginFields

    package static let none = FieldEdits(set: [], remove: [])

    /// Names and values must have been validated as a token and as field content.
    package init(set: [(name: String, value: String)], remove: [String]) {
        let names = (remove + set.map(\.name)).map { $0.lowercased() }
        self.dropped = names.map { Array($0.utf8) }
        self.origin = OriginFields(names)
        self.lines = set.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
    }

    package var isEmpty: Bool { self.dropped.isEmpty && self.lines.isEmpty }

    /// Whether a field of that name must be left out.
    func drops(_ name: ByteRange, in source: borrowing Span<UInt8>) -> Bool {
        for candidate in self.dropped where ASCII.equalsIgnoringCase(source, name, lowercase: candidate) {
            return true
        }
        return false
    }
}

/// Which of the fields that say where a request came from.
struct OriginFields: OptionSet, Sendable {
    let rawValue: UInt8

    static let via = OriginFields(rawValue: 1)
    static let xForwardedFor = OriginFields(rawValue: 2)
    static let xForwardedProto = OriginFields(rawValue: 4)
    static let xForwardedHost = OriginFields(rawValue: 8)
    static let forwarded = OriginFields(rawValue: 16)
    static let requestID = OriginFields(rawValue: 32)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Those among lower-case names.
    init(_ names: [String]) {
        self = []
        for name in names {
            switch name {
            case "via": self.insert(.via)
            case "x-forwarded-for": self.insert(.xForwardedFor)
            case "x-forwarded-proto": self.insert(.xForwardedProto)
            case "x-forwarded-host": self.insert(.xForwardedHost)
            case "forwarded": self.insert(.forwarded)
            case "x-request-id": self.insert(.requestID)
            default: break
            }
        }
    }
}

/// Comparisons of header bytes, which are ASCII whatever the locale.
package enum ASCII {
    @inline(__always)
    package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    package static func equalsIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: [UInt8]
    ) -> Bool {
        guard range.count == lowercase.count else { return false }
        let lower = Int(range.lower)
        for index in lowercase.indices where self.lowercased(source[lower + index]) != lowercase[index] {
            return false
        }
        return true
    }

    package static func hasPrefixIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: StaticString
    ) -> Bool {
        guard range.count >= lowercase.utf8CodeUnitCount else { return false }
        let lower = Int(range.lower)
        return lowercase.withUTF8Buffer { wanted in
            for index in wanted.indices where self.lowercased(source[lower + index]) != wanted[index] {
                return false
            }
            return true
        }
    }
}
