import Documents
import Testing

@testable import GatewayService

/// The API's description as clients read it, and whether answers are as it says.
struct DescribedAPI {
    static let shared = try? DescribedAPI()

    let document: JSONValue

    init() throws {
        document = try JSONParser.parse(OpenAPIDescription.json)
    }

    /// The description of a route's GET.
    func operation(_ route: Route) -> JSONValue? {
        document[key: "paths"]?[key: OpenAPIDescription.path(route)]?[key: "get"]
    }

    /// The schema of a route's answer.
    func schema(_ route: Route) -> JSONValue? {
        operation(route)?[key: "responses"]?[key: "200"]?[key: "content"]?[key: "application/json"]?[key: "schema"]
    }

    /// What in an answer is not as the description says, with its place.
    func problems(_ answer: String, _ route: Route) -> [String] {
        guard let schema = schema(route) else { return ["no schema"] }
        do {
            return problems(try JSONParser.parse(Array(answer.utf8)), schema, at: "$")
        } catch {
            return ["no JSON: \(error)"]
        }
    }

    /// What `#/…` names.
    func referred(_ reference: String) -> JSONValue? {
        reference.split(separator: "/").dropFirst().reduce(document as JSONValue?) { $0?[key: String($1)] }
    }

    func problems(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        if let reference = schema[key: "$ref"]?.string {
            guard let schema = referred(reference) else { return ["\(place): \(reference) names nothing"] }
            return problems(value, schema, at: place)
        }
        if value == .null, schema[key: "nullable"] == .bool(true) { return [] }
        var found: [String] = []
        if case .array(let all) = schema[key: "allOf"] {
            for part in all { found += problems(value, part, at: place) }
        }
        guard let type = schema[key: "type"]?.string else { return found }
        switch (type, value) {
        case ("integer", .number(let number)) where number == number.rounded(): break
        case ("number", .number), ("string", .string), ("boolean", .bool): break
        case ("array", .array(let values)):
            guard let items = schema[key: "items"] else { return ["\(place): an array of nothing"] }
            for (index, value) in values.enumerated() { found += problems(value, items, at: "\(place)[\(index)]") }
        case ("object", .object(let members)):
            if case .array(let required) = schema[key: "required"] {
                for name in required.compactMap(\.string) where value[key: name] == nil {
                    found.append("\(place): no \(name)")
                }
            }
            for member in members {
                guard let schema = schema[key: "properties"]?[key: member.key] else { continue }
                found += problems(member.value, schema, at: "\(place).\(member.key)")
            }
        default: found.append("\(place): no \(type)")
        }
        return found
    }
}
