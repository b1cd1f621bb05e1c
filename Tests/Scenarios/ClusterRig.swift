import Foundation
import Glibc
import TestSupport
import Testing

/// Replicas on a store, each with a folder and a ledger of its own.
final class ClusterRig: Sendable {
    let names: [String]
    let folders: [String]
    private let section: String
    private let routes: Int
    private let more: String

    /// `section`: the value of `cluster`. Routes are `r0`, `r1`, … below `api`. `more` members of the file.
    init(_ section: String, names: [String] = ["a", "b", "c"], routes: Int = 0, more: String = "") throws {
        self.more = more
        self.names = names
        self.section = section
        self.routes = routes
        self.folders = names.map { _ in BalancerProcess.makeFolder() }
        for index in names.indices { try self.write(index) }
    }

    deinit { for folder in self.folders { BalancerProcess.removeFolder(folder) } }

    /// `core` is the file's weight of the upstream core.
    func write(_ index: Int, core: Int = 1) throws {
        let more = (0..<self.routes).map { number in
            ", {\"name\": \"r\(number)\", \"match\": {\"path\": \"/r\(number)\"}, \"split\": {\"core\": 1, \"gateway\": 1}}"
        }
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [9]), ("gateway", [10])],
                routes:
                    "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"core\": \(core), \"gateway\": 1}}"
                    + more.joined(),
                top: "\"state\": {\"path\": \"\(self.folders[index])/state.sqlite\"}, \"cluster\": \(self.section)"
                    + (self.more.isEmpty ? "" : ", " + self.more)),
            to: self.folders[index] + "/routes.json")
    }

    func start(_ index: Int, arguments: [String] = [], environment: [String] = []) throws -> BalancerProcess {
        try BalancerProcess(
            "", folder: self.folders[index], arguments: ["--replica", self.names[index]] + arguments,
            environment: environment)
    }

    /// All of them, when each sees all.
    func startAll() throws -> [BalancerProcess] {
        let balancers = try self.names.indices.map { try self.start($0) }
        #expect(try eventually { try balancers.allSatisfy { try Self.present($0).count == self.names.count } })
        return balancers
    }

    static func cluster(_ balancer: BalancerProcess) throws -> [String: Any] { try balancer.json("/api/v1/cluster") }

    static func present(_ balancer: BalancerProcess) throws -> [String] {
        let replicas = try Self.cluster(balancer)["replicas"] as? [[String: Any]] ?? []
        return replicas.filter { $0["present"] as? Bool == true }.compactMap { $0["name"] as? String }
    }

    static func weights(_ balancer: BalancerProcess, _ route: String = "api") throws -> [String: Int] {
        try balancer.json("/api/v1/routes/\(route)")["weights"] as? [String: Int] ?? [:]
    }

    static func journal(_ balancer: BalancerProcess, _ what: String) throws -> [[String: Any]] {
        let entries = try balancer.json("/api/v1/journal")["entries"] as? [[String: Any]] ?? []
        return entries.filter { $0["what"] as? String == what }
    }

    /// Those that lead, by their own word.
    static func leaders(_ balancers: [BalancerProcess]) throws -> [Int] {
        try balancers.indices.filter { try Self.cluster(balancers[$0])["leads"] as? Bool == true }
    }

    static func replicas(_ message: Message) -> [Int] {
        let body = try? JSONSerialization.jsonObject(with: Data(message.body)) as? [String: Any]
        let count = body?["replicas"] as? [String: Int] ?? [:]
        return [count["applied"] ?? -1, count["of"] ?? -1]
    }
}

extension BalancerProcess {
    func changeWeights(
        _ weights: String, route: String, more: String = "", fields: String = ""
    ) throws -> Message {
        try self.admin(
            "/api/v1/routes/\(route)/weights", method: "PUT", body: "{\"weights\": \(weights)\(more)}", fields: fields)
    }
}
