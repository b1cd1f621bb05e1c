import Foundation
import Glibc
import TestSupport
import Testing

/// What the operator and the SRE see.
@Suite("Observation", .serialized) struct ObservationScenarios {
    @Test("One access log line a request, with its fields, also for what was refused")
    func accessLog() throws {
        let upstream = try ScriptedUpstream.plain("hello")
        let balancer = try BalancerProcess(before: upstream, accessLog: true)
        #expect(try balancer.request("/a\"b?c").status == 200)
        #expect(try balancer.exchange("GET / HTTP/1.1\r\n\r\n").text.hasPrefix("HTTP/1.1 400"))
        upstream.stop()
        #expect(try eventually { try balancer.request("/gone", method: "POST", body: "xyz").status == 502 })
        #expect(eventually { balancer.program.output.filter { $0.hasPrefix("{") }.count >= 3 })
        let lines = try balancer.program.output.filter { $0.hasPrefix("{") }.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
        let first = lines[0]
        #expect(first["target"] as? String == "/a\"b?c" && first["status"] as? Int == 200)
        #expect(first["route"] as? String == "api" && first["upstream"] as? String == "core")
        #expect(first["endpoint"] as? String == "127.0.0.1:\(upstream.port)")
        #expect(first["responseBytes"] as? Int == 5 && first["client"] as? String == "127.0.0.1")
        #expect((first["requestId"] as? String)?.count == 32)
        #expect(lines[1]["status"] as? Int == 400 && lines[1]["reason"] != nil)
        let last = try #require(lines.last)
        #expect(last["status"] as? Int == 502 && last["reason"] != nil && last["method"] as? String == "POST")
    }

    @Test("Metrics count what happened, once each")
    func metrics() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, workers: 2)
        let load = LoadClient(port: balancer.port)
        load.start(connections: 4, limit: 1_000)
        try load.finish()
        _ = try balancer.exchange("GET / HTTP/1.1\r\n\r\n")
        let requests = "balancer_requests_total{route=\"api\",upstream=\"core\",status_class=\"2xx\"}"
        #expect(load.failures.isEmpty, "\(load.failures.prefix(3))")
        let counted = try eventually { try balancer.metric(requests) == 1_000 }
        let seen = try balancer.admin("/metrics").text.prefix(2_000)
        #expect(counted, "\(seen)")
        #expect(
            try balancer.metric("balancer_request_duration_seconds_count{route=\"api\",upstream=\"core\"}") == 1_000)
        #expect(try balancer.metric("balancer_rejected_total{status=\"400\"}") == 1)
        #expect(try balancer.metric("balancer_exchanges_active") == 0)
        #expect(
            try balancer.metric(
                "balancer_endpoint_requests_total{upstream=\"core\",endpoint=\"127.0.0.1:\(upstream.port)\"}") == 1_000)
        let page = try balancer.admin("/metrics")
        #expect(page.field("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
        var types: Set<Substring> = []
        for line in page.text.split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let name = line.split(separator: " ")[2]
            #expect(types.insert(name).inserted, "\(name) is declared twice")
        }
        for line in page.text.split(separator: "\n") where !line.hasPrefix("#") {
            let name = line.prefix { $0 != "{" && $0 != " " }
            let base = ["_bucket", "_sum", "_count"].compactMap { name.hasSuffix($0) ? name.dropLast($0.count) : nil }
            #expect(types.contains(name) || base.contains { types.contains($0) }, "\(line)")
        }
    }

    @Test("curl: plain, upload, chunked upload, HTTP/1.0, HEAD, Expect, and many in parallel")
    func curl() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let url = "http://127.0.0.1:\(balancer.port)"
        func curl(_ words: String...) throws -> (status: Int32, output: String) {
            let result = try Program.run(path: "/usr/bin/curl", ["-sS", "--max-time", "20"] + words)
            return (result.status, result.output + (result.status == 0 ? "" : result.errors))
        }
        #expect(try curl("\(url)/x?y") == (0, "/x?y"))
        #expect(try curl("-d", "body", url) == (0, "body"))
        #expect(try curl("-H", "Transfer-Encoding: chunked", "-d", "chunks", url) == (0, "chunks"))
        #expect(try curl("-H", "Expect: 100-continue", "--expect100-timeout", "0.2", "-d", "late", url) == (0, "late"))
        #expect(try curl("-0", "\(url)/old") == (0, "/old"))
        #expect(try curl("-I", "-o", "/dev/null", "-w", "%{http_code}", url) == (0, "200"))
        #expect(try curl("--path-as-is", "\(url)/a/../b") == (0, "/a/../b"))
        let many = try curl(
            "--no-progress-meter", "--parallel", "--parallel-max", "20", "-o", "/dev/null", "-w", "%{http_code}\n",
            "\(url)/[1-200]")
        #expect(many.output.split(separator: "\n").filter { $0 == "200" }.count == 200)
    }
}
