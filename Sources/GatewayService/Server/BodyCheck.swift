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
            var check = JSONCheck()
            guard let count = try await read(request, length, upTo: jsonLimit, { check.take($0.readableBytesView) })
            else { return .tooLarge }
            // A compressed text would have to be unpacked first; no client of the API sends one.
            let isPlain = ["", "identity"].contains((request.headers[.contentEncoding] ?? "").lowercased())
            return !isPlain || count == 0 || check.isWhole ? .acceptable : .malformed
        }
        if type == "application/x-www-form-urlencoded" {
            return try await read(request, length, upTo: formLimit) { _ in } == nil ? .tooLarge : .acceptable
        }
        return .acceptable
    }

    private static func mediaType(_ header: String) -> String {
        let type = header.prefix { $0 != ";" }
        return type.trimmingPrefix { $0.isWhitespace }.lowercased().split(separator: " ").first.map(String.init) ?? ""
    }

    /// Reads a body and keeps nothing of it.
    ///
    /// - Returns: how long it is; nil when it is longer than `limit`.
    private static func read(
        _ request: Request, _ length: Int?, upTo limit: Int, _ body: (ByteBuffer) -> Void
    ) async throws -> Int? {
        if let length, length > limit { return nil }
        var count = 0
        for try await piece in request.body {
            count += piece.readableBytes
            if count > limit { return nil }
            body(piece)
        }
        return count
    }
}
