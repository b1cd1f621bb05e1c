import FoundationEssentials
import Hummingbird
import JSONText
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

    /// The body of a change. It must say that it is JSON, which no page of another origin can without being asked first
    /// whether it may (Fetch 4.8).
    static func input(_ request: Request) async throws -> JSONInput {
        guard Self.isJSON(request.headers[.contentType]) else {
            throw AdminFailure(status: .unsupportedMediaType, "the Content-Type of a change is application/json")
        }
        let limit = Self.bodyLimit
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
            throw AdminFailure(status: .contentTooLarge, "the body may have \(limit) bytes")
        }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: limit)
        } catch {
            throw AdminFailure(status: .contentTooLarge, "the body may have \(limit) bytes")
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

    private static func isJSON(_ type: String?) -> Bool {
        guard let type else { return false }
        let words = type.prefix { $0 != ";" }.split { $0 == " " || $0 == "\t" }
        return words.count == 1 && words[0].lowercased() == "application/json"
    }
}
