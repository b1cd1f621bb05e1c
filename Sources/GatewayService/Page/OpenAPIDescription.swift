/// The API's OpenAPI 3.0 document, made from the routes that exist.
enum OpenAPIDescription {
    static let json: [UInt8] = {
        var writer = JSONWriter(capacity: 128 * 1024)
        writer.beginObject()
        writer.member("openapi", "3.0.3")
        writer.key("info")
        writer.beginObject()
        writer.member("title", "Gateway API")
        writer.member("version", "1.0.0")
        writer.member(
            "description",
            """
            What the programme knows of candidates, nominators and validators. Documents are as they are stored: they may lack \
            any field and have others. What is missing is 204, never 404. Numbers in paths may be written as JavaScript writes them.
            """)
        writer.endObject()
        writeServers(to: &writer)
        writer.key("tags")
        writer.beginArray()
        for tag in RouteDescription.Tag.allCases {
            writer.beginObject()
            writer.member("name", tag.rawValue)
            writer.member("description", tag.text)
            writer.endObject()
        }
        writer.endArray()
        writer.key("paths")
        writer.beginObject()
        for route in Route.allCases { write(route, to: &writer) }
        writer.endObject()
        writer.key("components")
        writer.beginObject()
        writer.key("schemas")
        writer.beginObject()
        for component in Component.allCases {
            writer.key(text: component.rawValue)
            component.schema.write(to: &writer)
        }
        writer.endObject()
        writer.key("responses")
        writer.beginObject()
        for response in Response.allCases { write(response, to: &writer) }
        writer.endObject()
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }()

    /// Answers that every route may give.
    private enum Response: String, CaseIterable {
        case noContent = "NoContent"
        case notModified = "NotModified"
        case badRequest = "BadRequest"
        case tooLarge = "TooLarge"
        case failure = "Failure"
        case busy = "Busy"

        var status: String {
            switch self {
            case .noContent: "204"
            case .notModified: "304"
            case .badRequest: "400"
            case .tooLarge: "413"
            case .failure: "500"
            case .busy: "503"
            }
        }

        var text: String {
            switch self {
            case .noContent: "There is none."
            case .notModified: "The condition of If-None-Match is met."
            case .badRequest: "The request has a body that says it is JSON and is not."
            case .tooLarge: "The request's body is longer than a megabyte, or a form longer than 56 KiB."
            case .failure: "A parameter is not what it must be, or the database failed. Without CORS headers."
            case .busy: "Too much is going on; worth another try after Retry-After seconds."
            }
        }

        /// The body; nil for none.
        var body: String? {
            switch self {
            case .noContent, .notModified: nil
            case .badRequest: "Bad Request"
            case .tooLarge: "request entity too large"
            case .failure: "Internal Server Error"
            case .busy: "Service Unavailable"
            }
        }
    }

    /// A route's path in OpenAPI's spelling.
    static func path(_ route: Route) -> String {
        route.template.split(separator: "/").map { $0.hasPrefix(":") ? "/{\($0.dropFirst())}" : "/\($0)" }.joined()
    }

    private static func writeServers(to writer: inout JSONWriter) {
        writer.key("servers")
        writer.beginArray()
        let published = ["kusama", "polkadot", "kusama-staging", "polkadot-staging"].map {
            ("https://\($0).w3f.community", $0)
        }
        let all =
            [("/", "where this document comes from")] + published + [
                ("http://localhost:3301", "a gateway on this machine")
            ]
        for (url, text) in all {
            writer.beginObject()
            writer.member("url", url)
            writer.member("description", text)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ route: Route, to writer: inout JSONWriter) {
        let description = RouteDescription.of(route)
        writer.key(text: path(route))
        writer.beginObject()
        writer.key("get")
        writer.beginObject()
        writer.member("operationId", "\(route)")
        writer.key("tags")
        writer.beginArray()
        writer.string(description.tag.rawValue)
        writer.endArray()
        writer.member("summary", description.summary)
        writer.key("parameters")
        writer.beginArray()
        for name in route.parameterNames { writeParameter(name, to: &writer) }
        writer.endArray()
        writer.key("responses")
        writer.beginObject()
        writeSuccess(description, to: &writer)
        for response in Response.allCases where response != .noContent || description.mayBeMissing {
            writer.key(text: response.status)
            writer.beginObject()
            writer.member("$ref", "#/components/responses/\(response.rawValue)")
            writer.endObject()
        }
        writer.endObject()
        writer.endObject()
        writer.endObject()
    }

    private static func writeParameter(_ name: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", name)
        writer.member("in", "path")
        writer.key("required")
        writer.bool(true)
        let schema: Schema =
            switch name {
            case "address": .address
            case "era": .integer("An era's number.", 7150)
            case "session": .integer("A session's number.", 42_903)
            default: .integer("How many, the newest first; 0 for all.", 10)
            }
        writer.member("description", schema.text)
        writer.key("schema")
        schema.write(to: &writer)
        writer.endObject()
    }

    private static func writeSuccess(_ description: RouteDescription, to writer: inout JSONWriter) {
        writer.key("200")
        writer.beginObject()
        writer.member("description", "Found.")
        writer.key("headers")
        writer.beginObject()
        for (name, text) in [
            ("ETag", "What tells the body from others; with server.validators."),
            ("Cache-Control", "How long it will still be given; with server.validators."),
            ("Age", "How old a stale answer is, in seconds; with server.staleFor."),
        ] {
            writer.key(text: name)
            writer.beginObject()
            writer.member("description", text)
            writer.key("schema")
            Schema(.string).write(to: &writer)
            writer.endObject()
        }
        writer.endObject()
        writer.key("content")
        writer.beginObject()
        writer.key("application/json")
        writer.beginObject()
        writer.key("schema")
        description.schema.write(to: &writer)
        writer.endObject()
        writer.endObject()
        writer.endObject()
    }

    private static func write(_ response: Response, to writer: inout JSONWriter) {
        writer.key(text: response.rawValue)
        writer.beginObject()
        writer.member("description", response.text)
        if response == .busy {
            writer.key("headers")
            writer.beginObject()
            writer.key("Retry-After")
            writer.beginObject()
            writer.key("schema")
            Schema.integer("In seconds.", 2).write(to: &writer)
            writer.endObject()
            writer.endObject()
        }
        if let body = response.body {
            writer.key("content")
            writer.beginObject()
            writer.key("text/plain")
            writer.beginObject()
            writer.key("schema")
            Schema.string("", body).write(to: &writer)
            writer.endObject()
            writer.endObject()
        }
        writer.endObject()
    }
}
