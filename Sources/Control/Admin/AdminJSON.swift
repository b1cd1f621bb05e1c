import Foundation
import Hummingbird

/// JSON in and out of the admin API.
enum AdminJSON {
    /// Bytes of a request's body; beyond → 413.
    static let bodyLimit = 1 << 20

    static func response(
        _ body: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var headers = headers
        headers[.contentType] = "application/json"
        headers[.cacheControl] = "no-store"
        let bytes = try encoder.encode(body)
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func input(_ request: Request) async throws -> JSONInput {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: Self.bodyLimit)
        } catch {
            throw AdminFailure(status: .contentTooLarge, "the body may have \(Self.bodyLimit) bytes")
        }
        do {
            return try JSONDecoder().decode(JSONInput.self, from: Data(buffer.readableBytesView))
        } catch {
            throw AdminFailure(
                status: .badRequest, "nothing was changed",
                problems: [ControlProblem(path: "$", message: "not a JSON document")])
        }
    }
}
