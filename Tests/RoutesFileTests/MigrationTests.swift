import JSONText
import Migration
import RoutesFile
import Testing
import Traffic

@Suite("The section `migrations`")
struct MigrationSectionTests {
    /// A document with one plan of these members, behind its names and sides.
    private static func document(
        _ members: String, stages: String = #"[{ "share": 5, "hold": "1s" }]"#, routes: String = #"["api"]"#,
        from: String = "core", to: String = "gateway", state: String = #""state": { "path": "/s" },"#,
        split: String = #"{ "core": 1, "gateway": 0 }"#, before: String = ""
    ) -> Document {
        Document(
            top: """
                \(state) "migrations": [\(before){ "name": "move", "routes": \(routes), "from": "\(from)", "to": "\(to)", \
                "stages": \(stages)\(members.isEmpty ? "" : ", " + members) }],
                """,
            upstreams: """
                { "core": { "endpoints": ["127.0.0.1:1"] }, "gateway": { "endpoints": ["127.0.0.1:2"] },
                  "other": { "endpoints": ["127.0.0.1:3"] } }
                """,
            routes: """
                [{ "name": "api", "match": { "path": "/api" }, "split": \(split) },
                 { "name": "page", "match": { "path": "/page" }, "split": { "core": 1, "gateway": 1 } },
                 { "name": "core-only", "match": { "path": "/old" }, "split": { "core": 1 } },
                 { "name": "away", "match": { "path": "/away" }, "redirect": { "host": "example.org" } }]
                """)
    }

    private static let noMirror = #""gates": { "mismatches": false }"#

    @Test("Defaults are those of the reference")
    func defaults() throws {
        let configuration = try Self.document(Self.noMirror).parse()
        let spec = try #require(configuration.migrations.first)
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway", stages: [.init(.share(50_000), hold: 1_000)])
        plan.gates.mismatches = nil
        #expect(spec == MigrationSpec(plan: plan))
        #expect(plan.patience == 21_600_000 && plan.gates.settle == 30_000 && plan.gates.minimum == 500)
        #expect(spec.mirror.perSecond == 200 && spec.compare.headers == ["content-type", "location"])
        let traffic = try #require(configuration.table.routes[0].migration)
        #expect(traffic.name == "move" && traffic.from == 0 && traffic.to == 1 && traffic.epoch == 0)
        #expect(configuration.table.routes[1].migration == nil)
    }

    @Test("Every key is read")
    func everything() throws {
        let document = Self.document(
            """
            "mirror": { "methods": ["get", "POST"], "unsafe": true, "except": ["/scorekeeper"], "drop": ["Cookie"],
              "perSecond": 100, "connections": 8, "queue": 64, "memory": "1MiB", "timeout": "2s" },
            "compare": { "headers": ["ETag"], "ignore": ["$..updatedAt"],
              "unordered": ["$.nominations", { "path": "$.items", "key": "stash" }],
              "numbers": { "absolute": 1, "relative": 0.000001 }, "recheck": 30, "templates": ["/candidate/*"],
              "redact": { "paths": ["$..email"], "query": ["token"] } },
            "gates": { "minimum": 50, "falseAlarm": 2, "falseAdvance": 10, "errors": { "tolerance": 0.2, "margin": 0.6 },
              "clientErrors": false, "cancelled": { "margin": 3 },
              "latency": { "p50": false, "p99": { "tolerance": 30, "margin": 150 }, "floor": "2ms" },
              "mismatches": { "max": 0.25 }, "settle": "1s", "enforce": false },
            "retreat": { "to": "previous", "over": "20s", "unavailable": "5s", "cooldown": "1m" },
            "patience": "1h", "fourEyes": true,
            "freeze": [{ "zone": "Europe/Berlin", "days": ["fri"], "from": "16:00", "to": "24:00" },
              { "zone": "UTC", "dates": "2026-12-24/2027-01-02" }, { "zone": "Etc/GMT+3", "dates": "2028-02-29" }]
            """,
            stages: """
                [{ "mirror": 10, "hold": "1h" }, { "share": 0.0001, "mirror": 12.5, "hold": "0s" },
                 { "share": 33.3333, "hold": "1s" }, { "share": 100, "hold": "720h", "approval": true },
                 { "retire": true, "hold": "168h" }]
                """)
        let spec = try #require(try document.parse().migrations.first)
        #expect(
            spec.plan.stages == [
                .init(.mirror, mirror: 100_000, hold: 3_600_000), .init(.share(1), mirror: 125_000, hold: 0),
                .init(.share(333_333), hold: 1_000), .init(.share(1_000_000), hold: 2_592_000_000, approval: true),
                .init(.retire, hold: 604_800_000),
            ])
        let gates = spec.plan.gates
        #expect(gates.minimum == 50 && gates.falseAlarm == 0.02 && gates.falseAdvance == 0.1)
        #expect(gates.errors == .init(tolerance: 0.002, margin: 0.006) && gates.clientErrors == nil)
        #expect(gates.cancelled == .init(tolerance: 0.01, margin: 0.03) && gates.p50 == nil)
        #expect(gates.p99 == .init(tolerance: 0.3, margin: 1.5) && gates.latencyFloor == 2_000)
        #expect(gates.mismatches == 0.0025 && gates.settle == 1_000 && !gates.enforce)
        #expect(spec.plan.retreat.aim == .previous && spec.plan.retreat.over == 20_000)
        #expect(spec.plan.retreat.unavailable == 5_000 && spec.plan.retreat.cooldown == 60_000)
        #expect(spec.plan.patience == 3_600_000 && spec.plan.fourEyes)
        #expect(spec.plan.freeze[0] == .init(zone: "Europe/Berlin", days: [.fri], from: 960, to: 1_440))
        let days = FreezeWindow.Day(year: 2026, month: 12, day: 24)...FreezeWindow.Day(year: 2027, month: 1, day: 2)
        #expect(spec.plan.freeze[1] == .init(zone: "UTC", dates: days))
        #expect(spec.mirror.methods == ["GET", "POST"] && spec.mirror.drop == ["cookie"] && spec.mirror.queue == 64)
        #expect(spec.mirror.memory == 1 << 20 && spec.mirror.timeout == 2_000 && spec.mirror.except == ["/scorekeeper"])
        #expect(spec.compare.headers == ["etag"] && spec.compare.recheck == 30 && spec.compare.relative == "0.000001")
        #expect(
            spec.compare.unordered == [
                .init(path: try JSONPath("$.nominations")), .init(path: try JSONPath("$.items"), key: "stash"),
            ])
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var document: Document
        /// Behind `$.migrations`.
        var path: String
        var fragment: String
        var testDescription: String { "\(self.path): \(self.fragment)" }
    }

    private static func plan(_ members: String, _ path: String, _ fragment: String) -> Case {
        Case(document: self.document(members), path: "[0]" + path, fragment: fragment)
    }
    private static func stages(_ stages: String, _ path: String, _ fragment: String) -> Case {
        Case(document: self.document(self.noMirror, stages: stages), path: "[0].stages" + path, fragment: fragment)
    }
    private static func gates(_ members: String, _ path: String, _ fragment: String) -> Case {
        self.plan(#""gates": { "mismatches": false, "# + members + " }", ".gates" + path, fragment)
    }
    private static func more(_ members: String, _ path: String, _ fragment: String) -> Case {
        self.plan(self.noMirror + ", " + members, path, fragment)
    }

    static let cases: [Case] = [
        Case(document: Document(top: #""migrations": {},"#), path: "", fragment: "expected a list of migrations"),
        Case(document: document(noMirror, state: ""), path: "", fragment: "needs $.state"),
        Case(document: document(noMirror, routes: "[]"), path: "[0].routes", fragment: "at least one"),
        Case(
            document: document(noMirror, routes: #"["apo"]"#), path: "[0].routes[0]", fragment: #"did you mean "api"?"#),
        Case(
            document: document(noMirror, routes: #"["api", "api"]"#), path: "[0].routes",
            fragment: "names a route twice"),
        Case(
            document: document(noMirror, routes: #"["away"]"#), path: "[0].routes[0]", fragment: "goes to no upstream"),
        Case(
            document: document(noMirror, routes: #"["core-only"]"#), path: "[0].routes[0]",
            fragment: #"has no "gateway""#),
        Case(
            document: document(noMirror, split: #"{ "core": 1, "gateway": 0, "other": 1 }"#), path: "[0].routes[0]",
            fragment: #"gives "other" a weight"#),
        Case(document: document(noMirror, from: "cor"), path: "[0].from", fragment: #"did you mean "core"?"#),
        Case(document: document(noMirror, to: "core"), path: "[0].to", fragment: "the same side"),
        Case(
            document: document(
                noMirror,
                before:
                    #"{ "name": "move", "routes": ["page"], "from": "core", "to": "gateway", "stages": [{ "share": 5, "hold": "1s" }], "gates": { "mismatches": false } }, "#
            ), path: "[1].name", fragment: "already taken"),
        Case(
            document: document(
                noMirror,
                before:
                    #"{ "name": "first", "routes": ["api"], "from": "core", "to": "gateway", "stages": [{ "share": 5, "hold": "1s" }], "gates": { "mismatches": false } }, "#
            ), path: "[1].routes[0]", fragment: #"belongs to the migration "first" already"#),
        plan("", ".gates.mismatches", "nothing is copied"),
        stages("[]", "", "at least one"),
        stages(#"[{ "hold": "1s" }]"#, "[0]", #"expected "share", "mirror" or "retire""#),
        stages(#"[{ "share": 5 }]"#, "[0]", #"the key "hold" is missing"#),
        stages(#"[{ "share": 5, "hold": "721h" }]"#, "[0].hold", "to 720h"),
        stages(#"[{ "share": 100.5, "hold": "1s" }]"#, "[0].share", "a percentage from 0 to 100"),
        stages(#"[{ "share": 1.00001, "hold": "1s" }]"#, "[0].share", "at most 4 decimals"),
        stages(#"[{ "share": -1, "hold": "1s" }]"#, "[0].share", "a percentage"),
        stages(#"[{ "share": 1e1, "hold": "1s" }]"#, "[0].share", "a percentage"),
        stages(#"[{ "share": "5", "hold": "1s" }]"#, "[0].share", "found string"),
        stages(#"[{ "share": 0, "hold": "1s" }]"#, "[0].share", "shares rise"),
        stages(
            #"[{ "share": 5, "hold": "1s" }, { "share": 5, "hold": "1s" }]"#, "[1].share", "shares rise"),
        stages(#"[{ "share": 5, "hold": "1s" }, { "mirror": 5, "hold": "1s" }]"#, "[1]", "before every share"),
        stages(#"[{ "share": 5, "hold": "1s" }, { "retire": true, "hold": "1s" }]"#, "[1]", "the share is 100"),
        stages(
            #"[{ "share": 100, "hold": "1s" }, { "retire": true, "hold": "1s" }, { "retire": true, "hold": "1s" }]"#,
            "[1]",
            "is the last"),
        stages(#"[{ "share": 100, "hold": "1s" }, { "retire": false, "hold": "1s" }]"#, "[1].retire", "expected true"),
        stages(
            #"[{ "share": 100, "hold": "1s" }, { "retire": true, "share": 100, "hold": "1s" }]"#, "[1].share",
            "has no share"),
        stages(
            #"[{ "share": 100, "hold": "1s" }, { "retire": true, "mirror": 1, "hold": "1s" }]"#, "[1].mirror",
            "copies nothing"),
        stages(#"[{ "share": 5, "shar": 5, "hold": "1s" }]"#, "[0].shar", #"did you mean "share"?"#),
        gates(#""errors": { "tolerance": 0.6 }"#, ".errors.tolerance", "expected 0 to the margin"),
        gates(#""errors": { "margin": 0.05 }"#, ".errors.tolerance", "expected 0 to the margin"),
        gates(#""errors": true"#, ".errors", "expected an object or false"),
        gates(#""latency": { "p50": { "tolerance": 30 } }"#, ".latency.p50.tolerance", "expected 0 to the margin"),
        gates(#""latency": { "floor": 1 }"#, ".latency.floor", "expected a duration"),
        gates(#""minimum": 0"#, ".minimum", "an integer from 1"),
        gates(#""falseAlarm": 0"#, ".falseAlarm", "more than 0"),
        gates(#""falseAdvance": 51"#, ".falseAdvance", "from 0 to 50"),
        gates(#""settle": "2h""#, ".settle", "to 1h"),
        Case(
            document: document(#""gates": { "mismatches": {} }"#, stages: #"[{ "mirror": 5, "hold": "1s" }]"#),
            path: "[0].gates.mismatches", fragment: #"the key "max" is missing"#),
        more(#""mirror": { "methods": ["POST"] }"#, ".mirror.methods[0]", #"needs "unsafe": true"#),
        more(#""mirror": { "methods": ["GET", "get"] }"#, ".mirror.methods[1]", "already given"),
        more(#""mirror": { "unsafe": true, "methods": ["CONNECT"] }"#, ".mirror.methods[0]", "cannot be copied"),
        more(#""mirror": { "except": ["x"] }"#, ".mirror.except[0]", "begins with"),
        more(#""mirror": { "queue": 65537 }"#, ".mirror.queue", "to 65536"),
        more(#""mirror": { "memory": "2GiB" }"#, ".mirror.memory", "expected a size"),
        more(#""mirror": { "connections": 1025 }"#, ".mirror.connections", "to 1024"),
        more(#""mirror": { "perSecond": 0 }"#, ".mirror.perSecond", "an integer from 1"),
        more(#""compare": { "ignore": ["$.*"] }"#, ".compare.ignore[0]", "write [*] instead"),
        more(#""compare": { "unordered": [{ "key": "a" }] }"#, ".compare.unordered[0]", #""path" is missing"#),
        more(#""compare": { "numbers": { "relative": -1 } }"#, ".compare.numbers.relative", "not below 0"),
        more(#""compare": { "headers": ["date"] }"#, ".compare.headers[0]", "never compared"),
        more(#""compare": { "templates": ["a*"] }"#, ".compare.templates[0]", "expected a path"),
        more(#""compare": { "recheck": 6001 }"#, ".compare.recheck", "to 6000"),
        more(#""compare": { "redact": { "paths": ["a"] } }"#, ".compare.redact.paths[0]", "begins with $"),
        more(#""retreat": { "to": "begin" }"#, ".retreat.to", #"expected "start" or "previous""#),
        more(#""retreat": { "over": "25h" }"#, ".retreat.over", "to 24h"),
        more(#""patience": "x""#, ".patience", "expected a duration"),
        more(#""fourEyes": 1"#, ".fourEyes", "expected true or false"),
        more(#""freeze": [{}]"#, ".freeze[0]", #"the key "zone" is missing"#),
        more(#""freeze": [{ "zone": "../etc" }]"#, ".freeze[0].zone", "expected a time zone"),
        more(#""freeze": [{ "zone": "UTC", "days": ["friday"] }]"#, ".freeze[0].days[0]", "expected"),
        more(#""freeze": [{ "zone": "UTC", "from": "24:00" }]"#, ".freeze[0].from", "to 23:59"),
        more(#""freeze": [{ "zone": "UTC", "to": "24:01" }]"#, ".freeze[0].to", "to 24:00"),
        more(#""freeze": [{ "zone": "UTC", "dates": "2026-02-29" }]"#, ".freeze[0].dates", "expected dates"),
        more(#""freeze": [{ "zone": "UTC", "dates": "2026-02-02/2026-02-01" }]"#, ".freeze[0].dates", "expected dates"),
    ]

    @Test("Each fault is told once, with its path and the line", arguments: Self.cases)
    func rejected(fault: Case) {
        let problems = fault.document.problems()
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.path == "$.migrations" + fault.path)
        #expect(problems.first?.message.contains(fault.fragment) == true, "\(problems)")
        #expect(problems.first?.line != nil)
    }

    @Test("At most 16 plans, 32 stages, 64 windows")
    func limits() {
        let stages = (1...33).map { #"{ "share": \#($0), "hold": "1s" }"# }.joined(separator: ", ")
        let windows = Array(repeating: #"{ "zone": "UTC" }"#, count: 65).joined(separator: ", ")
        for document in [
            Self.document(Self.noMirror, stages: "[\(stages)]"),
            Self.document(Self.noMirror + ", \"freeze\": [\(windows)]"),
            Document(top: "\"migrations\": [\(Array(repeating: "{}", count: 17).joined(separator: ", "))],"),
        ] {
            let problems = document.problems()
            #expect(problems.count == 1 && problems[0].message.contains("at most"), "\(problems)")
        }
    }
}
