import Foundation
import Hummingbird
import RoutesFile

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
        let document: (value: JSONValue, problems: [ConfigurationProblem])
        do {
            document = try RoutesFile.json(Array(buffer.readableBytesView))
        } catch {
            throw AdminFailure(
                status: .badRequest, "nothing was changed",
                problems: [
                    ControlProblem(
                        path: "$", message: "not JSON, column \(error.column): \(error.message)", line: error.line)
                ])
        }
        guard document.problems.isEmpty else {
            throw AdminFailure(
                status: .unprocessableContent, "nothing was changed",
                problems: document.problems.map(ControlProblem.init))
        }
        return JSONInput(document.value)
    }
}
