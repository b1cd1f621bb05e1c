import Testing

@testable import Documents
@testable import GatewayService

@Suite("API description")
struct OpenAPITests {
    private let api: DescribedAPI
    private var document: JSONValue { api.document }

    init() throws {
        api = try DescribedAPI()
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
            let operation = try #require(api.operation(route))
            guard case .array(let parameters) = operation[key: "parameters"] else {
                throw JSONSyntaxError(offset: 0, message: "no parameters")
            }
            #expect(parameters.map { $0[key: "name"]?.string ?? "" } == route.parameterNames)
        }
    }

    /// Over an empty database, a route answers 204 exactly where its description says that it may; what it answers fits.
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
            #expect(
                (api.operation(route)?[key: "responses"]?[key: "204"] != nil) == RouteDescription.of(route).mayBeMissing
            )
        }
    }

    @Test func everyRouteTellsWhatElseItMayAnswer() throws {
        for route in Route.allCases {
            let responses = try #require(api.operation(route)?[key: "responses"])
            for status in ["200", "304", "400", "413", "500", "503"] {
                let response = try #require(responses[key: status], "\(route) \(status)")
                if let reference = response[key: "$ref"]?.string {
                    #expect(api.referred(reference)?[key: "description"]?.string?.isEmpty == false)
                }
            }
        }
    }

    /// What the description says of bodies that are no JSON is what is sent.
    @Test func errorsAreAsDescribed() async throws {
        try await RunningServer.run { server async throws in
            for (path, headers, body, status) in [
                ("/score/a/b", [], "", "500"), ("/candidates", ["Content-Type: application/json"], "{", "400"),
                ("/candidates", ["Content-Type: application/json"], String(repeating: " ", count: 1_048_577), "413"),
                ("/candidates", ["If-None-Match: *"], "", "304"),
            ] {
                let answer = try await server.send("GET", path, headers, body: body)
                #expect(answer.status.contains(" \(status) "))
                let reference = try #require(
                    api.operation(.candidates)?[key: "responses"]?[key: status]?[key: "$ref"]?.string)
                let content = api.referred(reference)?[key: "content"]?[key: "text/plain"]
                #expect((content?[key: "schema"]?[key: "example"]?.string ?? "") == answer.body)
            }
        }
    }

    /// References lead somewhere, every component is used, and examples are what they are examples of.
    @Test func theDocumentIsWhole() throws {
        var used: Set<String> = []
        var examples = 0
        func walk(_ value: JSONValue) {
            switch value {
            case .array(let values): values.forEach(walk)
            case .object(let members):
                if let reference = value[key: "$ref"]?.string {
                    #expect(api.referred(reference) != nil, "\(reference)")
                    used.insert(reference)
                }
                if let example = value[key: "example"], value[key: "properties"] == nil {
                    #expect(api.problems(example, value, at: "example") == [])
                    examples += 1
                }
                members.map(\.value).forEach(walk)
            default: break
            }
        }
        walk(document)
        #expect(examples > 150)
        for component in Component.allCases {
            #expect(used.contains("#/components/schemas/\(component.rawValue)"), "\(component)")
            if case .any = component.schema.kind { Issue.record("\(component) has no schema") }
        }
        guard case .array(let tags) = document[key: "tags"], case .array(let servers) = document[key: "servers"] else {
            throw JSONSyntaxError(offset: 0, message: "no tags or servers")
        }
        #expect(tags.map { $0[key: "name"]?.string } == RouteDescription.Tag.allCases.map(\.rawValue))
        #expect(servers.first?[key: "url"]?.string == "/")
    }

    /// What the check of answers finds: otherwise all that it passes would mean nothing.
    @Test func answersThatDoNotFitAreFound() {
        for (answer, route, problem) in [
            (#"{"latest":1.5,"earliest":1,"blocksIndexed":1}"#, Route.blockIndex, "$.latest: no integer"),
            (#"{"latest":1}"#, .blockIndex, "$: no blocksIndexed"),
            (#"{"latest":null,"blocksIndexed":null}"#, .blockIndex, "$.latest: no integer"),
            (#"[{"_id":1}]"#, .validators, "$[0]._id: no string"), ("{}", .validators, "$: no array"),
            (#"[{"keys":[]}]"#, .validators, "$[0].keys: no object"),
            (
                #"[{"validator":"a","total":1,"identity":{"verified":0}}]"#, .allValidatorRewards,
                "$[0].identity.verified: no boolean"
            ),
        ] {
            #expect(api.problems(answer, route) == [problem])
        }
        #expect(api.problems(#"{"blocksIndexed":null,"other":[]}"#, .blockIndex) == [])
    }

    /// The whole sample: every answer of every route.
    @Test(arguments: [SampleNetwork.kusama, .polkadot])
    func theSampleIsAsDescribed(network: SampleNetwork) async throws {
        let store = try EmbeddedStore(reading: .memory)
        try store.insert(SampleData(seed: 3, network: network).documents())
        let resources = Resources(store: store, options: .init())
        func answer(_ path: String) async throws -> String? {
            let match = try #require(RouteTable().match(path))
            guard case .json(let body, _) = try await resources.answer(match) else { return nil }
            let text = String(decoding: body.bytes, as: UTF8.self)
            let problems = api.problems(text, match.route)
            #expect(problems == [], "\(path)")
            return text
        }
        func values(_ key: String, _ path: String) async throws -> [String] {
            guard case .array(let items) = try JSONParser.parse(Array((try await answer(path) ?? "").utf8)) else {
                return []
            }
            return items.compactMap { $0[key: key]?.string }
        }
        let stashes = try await values("stash", "/candidates").prefix(40) + values("address", "/validators").prefix(40)
        let nominators = try await values("stash", "/nominators")
        var answered: Set<Route> = []
        for route in Route.allCases {
            for address in stashes + nominators {
                let path = route.template.replacing(":address", with: address).replacing(":limit", with: "3")
                    .replacing(":last", with: "3").replacing(#/:(era|session)/#) { match in
                        network == .kusama
                            ? match.1 == "era" ? "7150" : "42903" : match.1 == "era" ? "1620" : "9723"
                    }
                do {
                    if try await answer(path) != nil { answered.insert(route) }
                } catch is ResourceError {}
                if !route.template.contains(":address") { break }
            }
        }
        if network == .kusama {
            #expect(Set(Route.allCases).subtracting(answered) == [.nominationsOfAddress])
        }
    }
}
