import Documents
import NIOCore
import Testing

@testable import GatewayService

/// Every kind of body under GET, HEAD and a condition that is met: what the legacy framework does.
///
/// Its response's length is that of the text that the body becomes, for HEAD too, and unknown for a body that counts as false:
/// nothing, and the number zero (for which the length that a GET tells is told here). A 304 loses the body with all that is
/// said of it. A HEAD that finds no route has no body to speak of; an error's text has its length.
@Suite("Kinds of bodies")
struct BodyKindTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        let path: String
        let status: String
        /// nil for none.
        let type: String?
        let length: Int?
        /// What HEAD tells of it, where that is less.
        var isBareForHead = false
        var isError = false
        /// Whether a condition can be met: by answers of status 200 alone.
        var isConditional: Bool { status == "200 OK" }

        var testDescription: String { path }
    }

    private static let json = "application/json; charset=utf-8"
    private static let text = "text/plain; charset=utf-8"

    static let kinds = [
        Kind(path: "/blockindex", status: "200 OK", type: json, length: 62),
        Kind(path: "/proxytxs", status: "200 OK", type: json, length: 2),
        Kind(path: "/validators/activeeras/a", status: "200 OK", type: json, length: 2),
        Kind(path: "/validators/activeeras/nobody", status: "200 OK", type: json, length: 1),
        Kind(path: "/stats/totalRequests", status: "200 OK", type: json, length: 1),
        Kind(path: "/stats/endpointCounts", status: "200 OK", type: json, length: 21),
        Kind(path: "/healthcheck", status: "200 OK", type: text, length: 5),
        Kind(path: "/candidate/nobody", status: "204 No Content", type: nil, length: nil),
        Kind(path: "/nominations/a/1", status: "204 No Content", type: nil, length: nil),
        Kind(path: "/nope", status: "404 Not Found", type: text, length: 9, isBareForHead: true),
        Kind(path: "/score/a/b", status: "500 Internal Server Error", type: text, length: 21, isError: true),
    ]

    private func store() throws -> EmbeddedStore {
        let store = try EmbeddedStore(reading: .memory)
        let sets = (0..<12).map { #"{"session":\#($0),"era":\#($0),"validators":["a"]}"# }
        let documents: [(Collection, [String])] = [
            (.candidates, [#"{"stash":"a"}"#]), (.validatorSets, sets),
            (.blockIndex, [#"{"latest":25600000,"earliest":24900000}"#]),
        ]
        try store.insert(documents.map { ($0.0, try ExtendedJSON.batch($0.1, identified: false)) })
        return store
    }

    @Test(arguments: kinds)
    func underEveryMethod(kind: Kind) async throws {
        try await RunningServer.run(store: try store()) { server async throws in
            let others = kind.isError ? [] : ["Access-Control-Allow-Origin: *", "Vary: Origin, Accept-Encoding"]
            func fields(_ isBare: Bool) -> [String] {
                let type = isBare ? nil : kind.type.map { "Content-Type: \($0)" }
                let length = isBare ? nil : kind.length.map { "Content-Length: \($0)" }
                return (["Connection: close", type, length].compactMap { $0 } + others).sorted()
            }
            // Made, and where that is done, kept.
            for _ in 0..<2 {
                let get = try await server.send("GET", kind.path)
                #expect(get.status == "HTTP/1.1 \(kind.status)")
                #expect(get.headers == fields(false))
                #expect(get.body.utf8.count == kind.length ?? 0)
                // One that the cache has not got, and one that it has got if it ever does.
                for target in [kind.path + "?head", kind.path] {
                    let head = try await server.send("HEAD", target)
                    #expect(head.status == get.status)
                    #expect(head.headers == fields(kind.isBareForHead))
                    #expect(head.body == "")
                }
                for method in ["GET", "HEAD"] {
                    let met = try await server.send(method, kind.path, ["If-None-Match: *"])
                    if kind.isConditional {
                        #expect(met.status == "HTTP/1.1 304 Not Modified")
                        #expect(met.headers == fields(true))
                    } else {
                        #expect(met.status == get.status)
                        #expect(met.headers == fields(method == "HEAD" && kind.isBareForHead))
                    }
                    #expect(met.body == "" || method == "GET" && !kind.isConditional)
                }
            }
            // On a connection that stays, where the short cut answers.
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                for (method, extra) in [
                    ("GET", ""), ("HEAD", ""), ("HEAD", RunningServer.manyFields), ("GET", RunningServer.manyFields),
                    ("GET", "Origin: *\r\n"),
                ] {
                    try await outbound.write(
                        ByteBuffer(string: "\(method) \(kind.path) HTTP/1.1\r\nHost: h\r\n\(extra)\r\n"))
                    let isBare = method == "HEAD" && kind.isBareForHead
                    let head = method == "HEAD" ? try await reader.head() : try await reader.next()?.head
                    let length = isBare ? nil : kind.length
                    #expect(head?.contains("Content-Length: ") == (length != nil))
                    if let length { #expect(head?.contains("\r\nContent-Length: \(length)\r\n") == true) }
                    #expect(head?.contains("\r\nContent-Type: ") == (!isBare && kind.type != nil))
                }
            }
        }
    }
}
