/// The API's OpenAPI 3.0 document, made from the routes that exist.
enum OpenAPIDescription {
    static let json: [UInt8] = {
        var writer = JSONWriter(capacity: 32_768)
        writer.beginObject()
        writer.key("openapi")
        writer.string("3.0.3")
        writer.key("info")
        writer.beginObject()
        writer.key("title")
        writer.string("Gateway API")
        writer.key("version")
        writer.string("1.0.0")
        writer.endObject()
        writer.key("tags")
        writer.beginArray()
        for tag in RouteDescription.Tag.allCases {
            writer.beginObject()
            writer.key("name")
            writer.string(tag.rawValue)
            writer.endObject()
        }
        writer.endArray()
        writer.key("paths")
        writer.beginObject()
        for route in Route.allCases { write(route, to: &writer) }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }()

    /// A route's path in OpenAPI's spelling.
    static func path(_ route: Route) -> String {
        route.template.split(separator: "/").map { $0.hasPrefix(":") ? "/{\($0.dropFirst())}" : "/\($0)" }.joined()
    }

    private static func write(_ route: Route, to writer: inout JSONWriter) {
        let description = RouteDescription.of(route)
        writer.key(text: path(route))
        writer.beginObject()
        writer.key("get")
        writer.beginObject()
        writer.key("operationId")
        writer.string("\(route)")
        writer.key("tags")
        writer.beginArray()
        writer.string(description.tag.rawValue)
        writer.endArray()
        writer.key("summary")
        writer.string(description.summary)
        writer.key("parameters")
        writer.beginArray()
        for name in route.parameterNames { writeParameter(name, to: &writer) }
        writer.endArray()
        writer.key("responses")
        writer.beginObject()
        writeSuccess(description, to: &writer)
        if description.mayBeMissing { writeResponse("204", "There is none.", to: &writer) }
        writeResponse("500", "A parameter is not what it must be, or the database failed.", to: &writer)
        writer.endObject()
        writer.endObject()
        writer.endObject()
    }

    private static func writeParameter(_ name: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("in")
        writer.string("path")
        writer.key("required")
        writer.bool(true)
        writer.key("schema")
        writer.beginObject()
        writer.key("type")
        writer.string(name == "address" ? "string" : "number")
        writer.endObject()
        writer.endObject()
    }

    private static func writeSuccess(_ description: RouteDescription, to writer: inout JSONWriter) {
        writer.key("200")
        writer.beginObject()
        writer.key("description")
        writer.string("Found.")
        writer.key("content")
        writer.beginObject()
        writer.key("application/json")
        writer.beginObject()
        writer.key("schema")
        writer.beginObject()
        writer.key("type")
        writer.string(description.shape.rawValue)
        if description.shape == .array {
            writer.key("items")
            writer.beginObject()
            writer.key("type")
            writer.string("object")
            writer.endObject()
        }
        writer.endObject()
        writer.endObject()
        writer.endObject()
        writer.endObject()
    }

    private static func writeResponse(_ status: String, _ text: String, to writer: inout JSONWriter) {
        writer.key(text: status)
        writer.beginObject()
        writer.key("description")
        writer.string(text)
        if status == "500" {
            writer.key("content")
            writer.beginObject()
            writer.key("text/plain")
            writer.beginObject()
            writer.key("schema")
            writer.beginObject()
            writer.key("type")
            writer.string("string")
            writer.endObject()
            writer.endObject()
            writer.endObject()
        }
        writer.endObject()
    }
}
