import Testing

@testable import GatewayService

@Suite("Routing")
struct RouteTableTests {
    private let table = RouteTable()

    @Test func everyRouteIsFoundByItsOwnTemplate() {
        #expect(Route.allCases.count == 44)
        for route in Route.allCases {
            let path = route.template.replacing(#/:\w+/#, with: "Pq")
            let match = table.match(path)
            #expect(match?.route == route)
            #expect(match?.parameters == route.parameterNames.map { _ in "Pq" })
        }
    }

    @Test(
        arguments: [
            ("/CANDIDATES", .candidates, []), ("/Candidate/AbC", .candidate, ["AbC"]),
            ("/stats/totalrequests", .totalRequests, []),
            ("/locationstats/valid", .validLocationStats, []), ("/locationstats/7", .locationStatsInSession, ["7"]),
            ("/nominatorstake/X/last", .nominatorStakeInEra, ["X", "last"]),
            ("/nominatorstake/X/LAST/5", .lastNominatorStakes, ["X", "5"]),
            ("/candidate/a%2Fb", .candidate, ["a/b"]), ("/candidate/a+b", .candidate, ["a+b"]),
            ("/candidate/%zz%41", .candidate, ["%zz%41"]),
            ("/candidate/%41%", .candidate, ["%41%"]), ("/candidate/%C0%AF", .candidate, ["%C0%AF"]),
            ("/candidate/%ED%A0%80", .candidate, ["%ED%A0%80"]),
            ("/candidate/%C3%A9", .candidate, ["é"]), ("/candidate/%20", .candidate, [" "]),
            ("/candidate/:address", .candidate, [":address"]),
        ] as [(String, Route, [String])])
    func found(path: String, route: Route, parameters: [String]) {
        #expect(table.match(path) == RouteTable.Match(route: route, parameters: parameters))
    }

    @Test(arguments: [
        "", "/", "//", "//candidates", "/candidate//X", "/candidates%2F", "/%63andidates", "/candidates/rank/x",
        "/candidate",
        "/claims", "/bull", "/erapaid", "/erareward/a/b", "candidates", "/nominator/a/b", "/ſcore/x",
        "/validators/beefy/dummmy",
    ])
    func notFound(path: String) {
        #expect(table.match(path) == nil)
    }

    @Test(arguments: [
        ("/a?b/", "/a"), ("/a/?b", "/a/"), ("/a#b", "/a"), ("http://h/a?x", "/a"), ("http://h", "/"),
        ("http://h?x=/", "/"), ("*", "*"),
        ("//a", "//a"), ("/", "/"),
    ])
    func pathOfATarget(target: String, path: String) {
        #expect(RequestTarget.path(target) == path)
    }
}
