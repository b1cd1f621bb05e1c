import Documents
import HTTPTypes
import Hummingbird
import NIOCore

/// Judges request bodies the way the legacy body parser does. What a body says is of no interest to any route.
enum BodyCheck {
    enum Verdict: Equatable {
        case acceptable
        /// 400: JSON that is not, or whose top level is neither object nor array.
        case malformed
        /// 413
        case tooLarge
    }

    /// Largest JSON text in bytes.
    private static let jsonLimit = 1_048_576
    /// Largest form in bytes.
    private static let formLimit = 57_344

    private static let jsonTypes = [
        "application/json", "application/json-patch+json", "application/vnd.api+json", "application/csp-report",
        "application/scim+json",
    ]

    static func verdict(on request: Request) async throws -> Verdict {
        let length = request.headers[.contentLength].flatMap { Int($0) }
        guard length.map({ $0 > 0 }) ?? (request.headers[.transferEncoding] != nil) else { return .acceptable }
        let type = mediaType(request.headers[.contentType] ?? "")
        if jsonTypes.contains(type) {
            guard let text = try await collect(request, length, upTo: jsonLimit) else { return .tooLarge }
            // A compressed text would have to be unpacked first; no client of the API sends one.
            let isPlain = ["", "identity"].contains((request.headers[.contentEncoding] ?? "").lowercased())
            if !isPlain || text.isEmpty { return .acceptable }
            return isAcceptable(text) ? .acceptable : .malformed
        }
        if type == "application/x-www-form-urlencoded" {
            return try await collect(request, length, upTo: formLimit) == nil ? .tooLarge : .acceptable
        }
        return .acceptable
    }

    private static func mediaType(_ header: String) -> String {
        let type = header.prefix { $0 != ";" }
        return type.trimmingPrefix { $0.isWhitespace }.lowercased().split(separator: " ").first.map(String.init) ?? ""
    }

    private static func collect(_ request: Request, _ length: Int?, upTo limit: Int) async throws -> [UInt8]? {
        if let length, length > limit { return nil }
        do {
            let buffer = try await request.body.collect(upTo: limit)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            return nil
        }
    }

    private static func isAcceptable(_ text: [UInt8]) -> Bool {
        switch try? JSONParser.parse(text) {
        case .object, .array: true
        default: false
        }
    }
}
