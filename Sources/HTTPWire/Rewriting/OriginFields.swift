/// Which of the fields that say where a request came from.
struct OriginFields: OptionSet, Sendable {
    let rawValue: UInt8

    static let via = OriginFields(rawValue: 1)
    static let xForwardedFor = OriginFields(rawValue: 2)
    static let xForwardedProto = OriginFields(rawValue: 4)
    static let xForwardedHost = OriginFields(rawValue: 8)
    static let forwarded = OriginFields(rawValue: 16)
    static let requestID = OriginFields(rawValue: 32)
    static let clientCertificate = OriginFields(rawValue: 64)

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
            case "client-cert", "client-cert-chain": self.insert(.clientCertificate)
            default: break
            }
        }
    }
}
