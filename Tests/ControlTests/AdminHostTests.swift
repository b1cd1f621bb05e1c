@testable import Control
import RoutesFile
import TestSupport
import Testing
import Traffic

/// Requests that a web page may have made the operator's browser send.
struct AdminHostTests {
    @Test(
        "Which names are our own",
        arguments: [
            ("127.0.0.1:9901", AdminNames.Standing.own), ("127.8.9.1", .own), ("localhost", .own),
            ("LOCALHOST:9901", .own), ("[::1]:9901", .own), ("10.0.0.5:9901", .own), ("10.1.0.7", .own),
            ("balancer.internal:9901", .own), ("Balancer.Internal", .own), ("10.1.2.3", .address),
            ("[2001:db8::1]:80", .address), ("evil.example", .foreign), ("evil.example:9901", .foreign),
            ("127.0.0.1.evil.example", .foreign), ("localhost.evil.example", .foreign), ("[::1", .foreign),
            ("[::1]evil", .foreign), (":9901", .foreign), ("", .absent),
        ])
    func standing(authority: String, standing: AdminNames.Standing) throws {
        let bound = try #require(IPAddress(parsing: "10.0.0.5"))
        let names = AdminNames(bound: bound, hosts: ["balancer.internal"])
        #expect(names.standing(of: authority, local: "10.1.0.7") == standing)
    }

    @Test(
        "Which origins may change things",
        arguments: [
            ("http://localhost:9901", "localhost:9901", true), ("https://localhost:9901", "LOCALHOST:9901", true),
            ("http://ops.internal", "localhost:9901", true), ("http://localhost:3000", "localhost:9901", false),
            ("http://evil.example", "localhost:9901", false), ("null", "localhost:9901", false), ("", "", false),
        ])
    func origins(origin: String, authority: String, allowed: Bool) {
        let names = AdminNames(bound: Sample.address(0).ip, hosts: ["ops.internal"])
        #expect(names.allows(origin: origin, authority: authority) == allowed)
    }

    private static let weights = "PUT /api/v1/routes/api/weights HTTP/1.1"

    @Test(
        "What is answered to whom, over a socket",
        arguments: [
            ("GET /metrics HTTP/1.1", "Host: evil.example\r\n", 403),
            ("GET /healthz HTTP/1.1", "Host: evil.example\r\n", 403),
            ("GET /api/v1/routes HTTP/1.1", "Host: evil.example\r\n", 403),
            ("GET /metrics HTTP/1.1", "Host: 10.9.8.7:9901\r\n", 200),
            ("GET /readyz HTTP/1.1", "Host: 10.9.8.7\r\n", 200),
            ("GET /api/v1/routes HTTP/1.1", "Host: 10.9.8.7\r\n", 200), ("GET /healthz HTTP/1.0", "", 200),
            ("GET /api/v1/routes HTTP/1.0", "", 403),
            (weights, "Host: localhost\r\nContent-Type: application/json\r\n", 200),
            (weights, "Host: ops.internal\r\nContent-Type: application/json; charset=utf-8\r\n", 200),
            (weights, "Host: 10.9.8.7\r\nContent-Type: application/json\r\n", 403),
            (weights, "Host: evil.example\r\nContent-Type: application/json\r\n", 403),
            (weights, "Host: localhost\r\n", 415), (weights, "Host: localhost\r\nContent-Type: text/plain\r\n", 415),
            (weights, "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n", 415),
            (
                weights,
                "Host: localhost\r\nContent-Type: application/json\r\nOrigin: http://evil.example\r\n", 403
            ),
            (weights, "Host: localhost\r\nContent-Type: application/json\r\nOrigin: null\r\n", 403),
            (weights, "Host: localhost\r\nContent-Type: application/json\r\nOrigin: http://localhost\r\n", 200),
        ])
    func answers(start: String, fields: String, status: Int) async throws {
        let rig = AdminRig()
        try await rig.load()
        let before = await rig.bench.weights
        let isChange = start == Self.weights
        let answer = try await rig.serve(hosts: ["ops.internal"]) { port in
            let connection = try RawConnection(port: port)
            let body = isChange ? #"{"weights":{"core":55}}"# : ""
            let length = isChange ? "Content-Length: \(body.utf8.count)\r\n" : ""
            connection.send("\(start)\r\n\(fields)\(length)\r\n\(body)")
            var reader = MessageReader(connection)
            return try reader.message().status
        }
        #expect(answer == status)
        let after = await rig.bench.weights
        #expect((after != before) == (isChange && status == 200))
    }
}
