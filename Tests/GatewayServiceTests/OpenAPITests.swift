import Testing

@testable import Documents
@testable import GatewayService

@Suite("API description")
struct OpenAPITests {
    private let document: JSONValue

    init() throws {
        document = try JSONParser.parse(OpenAPIDescription.json)
    }

    /// The description lists exactly what the router answers: every path leads back to its route, and no route is missing.
    @Test func everyPathIsARouteAndEveryRouteAPath() throws {
        guard case .object(let paths) = document[key: "paths"] else {
            throw JSONSyntaxError(offset: 0, message: "no paths")
        }
        var found: [Route] = []
        for path in paths {
            let concrete = path.key.replacing(#/\{\w+\}/#, with: "1")
            found.append(try #require(RouteTable().match(concrete)?.route, "\(path.key)"))
            #expect(path.value[key: "get"] != nil)
        }
        #expect(found == Route.allCases)
    }

    @Test func parametersAreThoseOfTheTemplate() throws {
        for route in Route.allCases {
            let operation = try #require(document[key: "paths"]?[key: OpenAPIDescription.path(route)]?[key: "get"])
            guard case .array(let parameters) = operation[key: "parameters"] else {
                throw JSONSyntaxError(offset: 0, message: "no parameters")
            }
            #expect(parameters.map { $0[key: "name"]?.string ?? "" } == route.parameterNames)
        }
    }

    /// Over an empty database, a route answers 204 exactly where its description says that it may.
    @Test func whatMayBeMissingIsMissingInAnEmptyDatabase() async throws {
        for route in Route.allCases {
            let path = route.template.replacing(#/:\w+/#, with: "1")
            let fixture = Fixture()
            if await fixture.fails(path) {
                #expect([Route.eraPoints, .totalEraPoints, .locationStatsInSession].contains(route))
                continue
            }
            let body = try await fixture.get(path)
            #expect((body == nil) == RouteDescription.of(route).mayBeMissing, "\(route)")
            guard let body else { continue }
            let shape: RouteDescription.Shape = body.hasPrefix("[") ? .array : body.hasPrefix("{") ? .object : .number
            #expect(shape == RouteDescription.of(route).shape, "\(route)")
        }
    }
}
