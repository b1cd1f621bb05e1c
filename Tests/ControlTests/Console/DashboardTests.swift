@testable import Control
import Foundation
import Hummingbird
import HummingbirdTesting
import RoutesFile
import TestSupport
import Testing

/// The dashboard's files, as they are served. What the page does is tried in a browser (scripts/test-dashboard.sh).
@Suite("Dashboard") struct DashboardTests {
    private static func source(_ name: String) throws -> String {
        try String(contentsOfFile: Program.root + "/Sources/CDashboard/Page/" + name, encoding: .utf8)
    }

    @Test(
        "Each file is the one in the source, of its type, and may use nothing from elsewhere",
        arguments: [
            ("/", "page.html", "text/html; charset=utf-8"),
            ("/dashboard.css", "dashboard.css", "text/css; charset=utf-8"),
            ("/dashboard.js", "dashboard.js", "text/javascript; charset=utf-8"),
            ("/favicon.svg", "favicon.svg", "image/svg+xml"),
        ])
    func files(path: String, file: String, type: String) async throws {
        let rig = AdminRig()
        try await rig.load()
        let expected = try Self.source(file)
        try await rig.test { client in
            let answer = try await client.execute(uri: path, method: .get)
            #expect(answer.status == .ok && answer.headers[.contentType] == type)
            #expect(String(buffer: answer.body) == expected, "an older build's: build again")
            #expect(
                answer.headers[.contentSecurityPolicy]
                    == "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
            #expect(answer.headers[.xContentTypeOptions] == "nosniff" && answer.headers[.cacheControl] == "no-store")
            #expect(try await client.execute(uri: path, method: .head).status == .ok)
            #expect(
                try await client.execute(uri: path, method: .post, headers: AdminRig.json).status == .methodNotAllowed)
        }
    }

    @Test("They are small, and nothing in them is script, style or address of its own")
    func content() throws {
        let (page, style, script) = try (
            Self.source("page.html"), Self.source("dashboard.css"), Self.source("dashboard.js")
        )
        let icon = try Self.source("favicon.svg")
        #expect([page, style, script, icon].reduce(0) { $0 + $1.utf8.count } <= 200 << 10)
        for word in ["style=", "<style", "onclick", "onload", "javascript:", "http:", "https:", "//"] {
            #expect(!page.contains(word), "\(word) in the page")
        }
        for word in [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
            "setAttribute(\"style\"", "sessionStorage", "document.cookie",
        ] {
            #expect(!script.contains(word), "\(word) in the script")
        }
        let namespace = "http://www.w3.org/2000/svg"
        #expect(!script.replacingOccurrences(of: namespace, with: "").contains("http"))
        #expect(!style.contains("url(") && !style.contains("@import"))
        // One moment of comfort: sizes of type are three.
        let sizes = Set(style.matches(of: /font(?:-size)?: [^;]*?(\d+)px/).map { String($0.1) })
        #expect(sizes == ["13", "15", "20"])
    }

    @Test("Whoever has no token sees the page and nothing of the balancer; a page of another name sees neither")
    func access() async throws {
        let rig = AdminRig()
        try await rig.load()
        rig.plane.access.set([AdminToken(name: "alice", role: .operator, sha256: SHA256.hash("a".utf8))], metrics: nil)
        try await rig.serve { port in
            func get(_ path: String, host: String) throws -> Message {
                let connection = try RawConnection(port: port)
                connection.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                var reader = MessageReader(connection)
                return try reader.message()
            }
            for page in DashboardPage.allCases {
                let own = try get(page.rawValue, host: "localhost").status
                let address = try get(page.rawValue, host: "10.0.0.9:9901").status
                let foreign = try get(page.rawValue, host: "evil.example").status
                #expect(own == 200 && address == 200 && foreign == 403, "\(page.rawValue)")
            }
            let events = try get("/api/v1/events", host: "localhost").status
            let upstreams = try get("/api/v1/upstreams", host: "localhost").status
            #expect(events == 401 && upstreams == 401)
        }
    }

    @Test("Of many endpoints a page asks for those that it shows")
    func range() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await rig.test { client in
            func ask(_ query: String) async throws -> [(String, Int?, [String])] {
                let answer = try await client.execute(uri: "/api/v1/upstreams\(query)", method: .get)
                let body = try JSONDecoder().decode(UpstreamsBody.self, from: Data(String(buffer: answer.body).utf8))
                return body.upstreams.map { ($0.name, $0.total, $0.endpoints.map(\.address)) }
            }
            let one = try await ask("?upstream=gateway&from=1&limit=5")
            #expect(one.map(\.0) == ["gateway"] && one[0].1 == 2 && one[0].2 == ["127.0.0.1:3302"])
            let first = try await ask("?limit=1")
            #expect(first.map(\.2) == [["127.0.0.1:3300"], ["127.0.0.1:3301"]])
            let none = try await ask("?upstream=none")
            #expect(none.isEmpty)
            let beyond = try await ask("?from=9")
            #expect(beyond.map(\.2) == [[], []])
            for query in ["?limit=0", "?from=-1", "?limit=x", "?offset=1"] {
                let wrong = try await client.execute(uri: "/api/v1/upstreams\(query)", method: .get)
                #expect(wrong.status == .unprocessableContent, "\(query)")
            }
        }
    }
}
