/// RFC 9113 7.
package struct ErrorCode: RawRepresentable, Equatable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = ErrorCode(rawValue: 0x0)
    package static let protocolError = ErrorCode(rawValue: 0x1)
    package static let internalError = ErrorCode(rawValue: 0x2)
    package static let flowControlError = ErrorCode(rawValue: 0x3)
    package static let settingsTimeout = ErrorCode(rawValue: 0x4)
    package static let streamClosed = ErrorCode(rawValue: 0x5)
    package static let frameSizeError = ErrorCode(rawValue: 0x6)
    package static let refusedStream = ErrorCode(rawValue: 0x7)
    package static let cancel = ErrorCode(rawValue: 0x8)
    package static let compressionError = ErrorCode(rawValue: 0x9)
    package static let connectError = ErrorCode(rawValue: 0xA)
    package static let enhanceYourCalm = ErrorCode(rawValue: 0xB)
    package static let inadequateSecurity = ErrorCode(rawValue: 0xC)
    package static let http11Required = ErrorCode(rawValue: 0xD)

    /// For counting: all codes that RFC 9113 does not know are the last one, 14.
    package var index: Int { min(Int(self.rawValue), 14) }
}

/// The connection cannot go on: GOAWAY with this code, then its end.
package struct ConnectionFault: Error, Equatable, Sendable {
    package var code: ErrorCode
    /// Which bound was exceeded, if one was.
    package var flood: Flood?

    package init(_ code: ErrorCode) { self.code = code }

    package init(_ flood: Flood) {
        self.code = .enhanceYourCalm
        self.flood = flood
    }
}

/// What a peer did too much of.
package enum Flood: UInt8, CaseIterable, Sendable {
    case resets, pings, settings, priorities, windowUpdates, emptyData, unknownFrames, continuations, fields, idleBytes
    /// Answers to its frames that it does not read.
    case unsentControl
}
