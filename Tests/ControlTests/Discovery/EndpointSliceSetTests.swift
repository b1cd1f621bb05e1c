@testable import Control
import Foundation
import Testing
import Traffic

@Suite("Sets of EndpointSlices")
struct EndpointSliceSetTests {
    private func event(_ type: String, _ object: String) throws -> EndpointSliceEvent {
        try JSONDecoder().decode(
            EndpointSliceEvent.self, from: Data("{\"type\": \"\(type)\", \"object\": \(object)}".utf8))
    }

    private func set(_ port: EndpointSliceLookup.Port = .name("http"), items: String...) throws -> EndpointSliceSet {
        let list = "{\"metadata\": {\"resourceVersion\": \"100\"}, \"items\": [\(items.joined(separator: ","))]}"
        var set = EndpointSliceSet(port: port)
        set.replace(try JSONDecoder().decode(EndpointSliceList.self, from: Data(list.utf8)))
        return set
    }

    private func texts(_ set: EndpointSliceSet) -> [String] { set.endpoints.map(\.description) }

    @Test(
        "Who takes new requests, by conditions",
        arguments: [
            ("{}", true), ("{\"ready\": true, \"serving\": true, \"terminating\": false}", true),
            ("{\"ready\": false, \"serving\": false, \"terminating\": false}", false),
            ("{\"ready\": false, \"serving\": true, \"terminating\": true}", false),
            ("{\"ready\": false, \"serving\": false, \"terminating\": true}", false), ("{\"serving\": true}", true),
        ])
    func conditions(text: String, isTaken: Bool) throws {
        let set = try self.set(items: Slices.slice("a", 1, members: [("10.0.0.1", text)]))
        #expect(self.texts(set) == (isTaken ? ["10.0.0.1:3301"] : []))
    }

    @Test("Several slices make one set; an address in two of them counts once")
    func merging() throws {
        let set = try self.set(
            items: Slices.slice("a", 1, hosts: [2, 1]), Slices.slice("b", 1, hosts: [2, 3]),
            Slices.slice("c", 1, type: "IPv6", members: [("fd00::1", "{}")]),
            Slices.slice("d", 1, type: "FQDN", members: [("pod.test", "{}")]))
        #expect(self.texts(set) == ["10.0.0.1:3301", "10.0.0.2:3301", "10.0.0.3:3301", "[fd00::1]:3301"])
        #expect(set.version == "100")
    }

    @Test("The port by name, each slice its own, or by number")
    func ports() throws {
        let items = [
            Slices.slice(
                "a", 1, ports: "[{\"name\": \"http\", \"port\": 81}, {\"name\": \"x\", \"port\": 82}]", hosts: [1]),
            Slices.slice("b", 1, ports: "[{\"name\": \"http\", \"port\": 83, \"protocol\": \"UDP\"}]", hosts: [2]),
            Slices.slice("c", 1, ports: "[{\"name\": \"http\", \"port\": 70000}]", hosts: [3]),
            Slices.slice("d", 1, ports: "null", hosts: [4]),
        ]
        let named = try self.set(items: items[0], items[1], items[2], items[3])
        #expect(self.texts(named) == ["10.0.0.1:81"])
        let numbered = try self.set(.number(9), items: items[0], items[3])
        #expect(self.texts(numbered) == ["10.0.0.1:9", "10.0.0.4:9"])
    }

    @Test("Events change the set and move the version on")
    func events() throws {
        var set = try self.set(items: Slices.slice("a", 1, hosts: [1]))
        #expect(set.apply(try self.event("ADDED", Slices.slice("b", 101, hosts: [2]))) == .changed)
        #expect(set.apply(try self.event("MODIFIED", Slices.slice("a", 102, hosts: [3]))) == .changed)
        #expect(self.texts(set) == ["10.0.0.2:3301", "10.0.0.3:3301"])
        #expect(set.apply(try self.event("DELETED", Slices.slice("b", 103, hosts: [2]))) == .changed)
        #expect(self.texts(set) == ["10.0.0.3:3301"])
        #expect(set.version == "103")
        #expect(set.apply(try self.event("BOOKMARK", "{\"metadata\": {\"resourceVersion\": \"200\"}}")) == .none)
        #expect(set.version == "200")
        #expect(set.apply(try self.event("ERROR", "{\"code\": 410, \"message\": \"too old\"}")) == .expired)
        let failed = set.apply(try self.event("ERROR", "{\"code\": 500, \"message\": \"broken\"}"))
        #expect(failed == .failed("the watch ends: broken"))
        #expect(set.version == "200")
        let unversioned = set.apply(try self.event("ADDED", "{\"metadata\": {\"name\": \"x\"}}"))
        #expect(unversioned == .failed("an event of the watch has no resource version"))
    }

    @Test("The number of slices that are kept is bounded")
    func bound() throws {
        var set = try self.set()
        for number in 0..<(EndpointSliceSet.limit + 50) {
            _ = set.apply(
                try self.event(
                    "ADDED",
                    Slices.slice(
                        "s\(number)", 1 + number, members: [("10.\(number / 250).\(number % 250).1", "{}")])))
        }
        #expect(set.endpoints.count == EndpointSliceSet.limit)
    }

    @Test("Lines are cut wherever the bytes are cut, and are bounded")
    func lines() throws {
        let text = Array("one\n\ntwo\nthree".utf8)
        for size in 1...text.count {
            var cutter = LineCutter(limit: 5)
            var lines: [[UInt8]] = []
            for start in stride(from: 0, to: text.count, by: size) {
                lines += try cutter.lines(text[start..<min(start + size, text.count)])
            }
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "two"])
            #expect(cutter.hasRest)
        }
        var cutter = LineCutter(limit: 5)
        #expect(throws: DiscoveryFailure.self) { try cutter.lines(Array("123456".utf8)) }
    }
}

/// EndpointSlices as the API server writes them.
enum Slices {
    static func slice(
        _ name: String, _ version: Int, type: String = "IPv4",
        ports: String = "[{\"name\": \"http\", \"port\": 3301, \"protocol\": \"TCP\"}]",
        members: [(address: String, conditions: String)]
    ) -> String {
        let endpoints = members.map { "{\"addresses\": [\"\($0.address)\"], \"conditions\": \($0.conditions)}" }
        return """
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "\(type)", \
            "metadata": {"name": "\(name)", "resourceVersion": "\(version)"}, "ports": \(ports), \
            "endpoints": [\(endpoints.joined(separator: ", "))]}
            """
    }

    /// Ready pods at 10.0.0.n.
    static func slice(
        _ name: String, _ version: Int,
        ports: String = "[{\"name\": \"http\", \"port\": 3301, \"protocol\": \"TCP\"}]", hosts: [Int]
    ) -> String {
        self.slice(name, version, ports: ports, members: hosts.map { ("10.0.0.\($0)", "{\"ready\": true}") })
    }

    static func list(_ version: Int, _ slices: [String]) -> String {
        """
        {"kind": "EndpointSliceList", "metadata": {"resourceVersion": "\(version)"}, \
        "items": [\(slices.joined(separator: ", "))]}
        """
    }

    static func event(_ type: String, _ object: String) -> String {
        "{\"type\": \"\(type)\", \"object\": \(object)}\n"
    }
}
