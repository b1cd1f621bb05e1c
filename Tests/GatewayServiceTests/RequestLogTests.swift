import Documents
import Foundation
import Testing

@testable import GatewayService

@Suite("Request log")
struct RequestLogTests {
    private static let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    /// A line per request, with what the balancer passed on, whichever way the answer left.
    @Test func aLinePerRequestWithTheIdentifiersOfTheBalancer() async throws {
        let pipe = Pipe()
        try await RunningServer.run({ $0.logsRequests = true }, requestLog: pipe.fileHandleForWriting) {
            server async throws in
            let headers = ["X-Request-ID: r-1", "traceparent: \(Self.trace)"]
            _ = try await server.send("GET", "/blockindex", headers)
            let kept =
                "GET /blockindex HTTP/1.1\r\nHost: h\r\nx-request-id: r-2\r\nTraceparent: \(Self.trace)\r\n\r\n"
            _ = try await server.exchange(kept + "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            _ = try await server.send("GET", "/score/x/abc?\"q", ["X-Request-ID: a\"b"])
        }
        try pipe.fileHandleForWriting.close()
        let text = try #require(try pipe.fileHandleForReading.readToEnd())
        let lines = try text.split(separator: UInt8(ascii: "\n")).map { try JSONParser.parse(Array($0)) }
        #expect(lines.map { $0[key: "status"]?.number } == [200, 200, 404, 500])
        #expect(lines.map { $0[key: "requestId"]?.string } == ["r-1", "r-2", nil, "a\"b"])
        #expect(lines.map { $0[key: "traceparent"]?.string } == [Self.trace, Self.trace, nil, nil])
        #expect(lines.map { $0[key: "method"]?.string } == ["GET", "GET", "GET", "GET"])
        #expect(
            lines.map { $0[key: "target"]?.string } == ["/blockindex", "/blockindex", "/nope", "/score/x/abc?\"q"])
        #expect(
            lines.map { $0[key: "route"]?.string } == [
                "/blockindex", "/blockindex", "none", "/score/:address/:session",
            ])
        #expect(lines.map { $0[key: "bytes"]?.number } == [62, 62, 9, 21])
        for line in lines {
            #expect(line[key: "ms"]?.number.map { $0 >= 0 } == true)
            #expect(line[key: "time"]?.string?.hasSuffix("Z") == true)
        }
    }
}
