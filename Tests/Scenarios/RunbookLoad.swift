import Foundation
import Glibc
import TestSupport

/// Clients of the public host: keep-alive connections, spread over whatever addresses the cluster names at that moment.
final class RunbookLoad: Sendable {
    struct Request: Sendable {
        var text: String
        var status: Int

        init(_ method: String, _ target: String, _ status: Int, body: String? = nil) {
            let length = body.map { "Content-Type: application/json\r\nContent-Length: \($0.utf8.count)\r\n" } ?? ""
            let origin =
                method == "OPTIONS" ? "Origin: https://example.org\r\nAccess-Control-Request-Method: GET\r\n" : ""
            self.text = "\(method) \(target) HTTP/1.1\r\nHost: kusama.example\r\n\(origin)\(length)\r\n\(body ?? "")"
            self.status = status
        }
    }

    private struct State {
        /// Answers by the pod that gave them.
        var answers: [String: Int] = [:]
        var failures: [String] = []
        /// Where each client is connected to.
        var places: [String]
        /// Requests that each client has seen the end of.
        var turns: [Int]
        var issued = 0
        var running = 0
        var stopping = false
    }

    /// A client does not stay for ever: hosts move.
    private static let usesOfConnection = 100

    private let state: Locked<State>
    private let file: String
    private let requests: [Request]
    private let connections: Int

    /// - Parameter file: the addresses to connect to, one a line.
    init(_ file: String, connections: Int = 6, requests: [Request]) {
        self.file = file
        self.requests = requests
        self.connections = connections
        self.state = Locked(
            State(
                places: Array(repeating: "", count: connections), turns: Array(repeating: 0, count: connections),
                running: connections))
        for client in 0..<connections { startThread { [self] in self.run(client) } }
    }

    private func connect(_ client: Int, _ number: Int) throws -> RawConnection {
        let addresses = try String(contentsOfFile: self.file, encoding: .utf8).split(separator: "\n")
        guard !addresses.isEmpty else { throw TestFailure("nobody is ready behind the host") }
        let place = addresses[number % addresses.count]
        self.state.change { $0.places[client] = String(place) }
        let parts = place.split(separator: ":")
        return try RawConnection(host: String(parts[0]), port: UInt16(parts[1]) ?? 0)
    }

    private func run(_ client: Int) {
        var reader: MessageReader?
        var uses = 0
        while true {
            var number: Int?
            self.state.change { state in
                if state.stopping { return }
                number = state.issued
                state.issued += 1
            }
            guard let number else { break }
            let request = self.requests[number % self.requests.count]
            do {
                if reader == nil { uses = 0 }
                var used = try reader ?? MessageReader(self.connect(client, number))
                uses += 1
                guard used.connection.send(request.text) else { throw TestFailure("cannot send") }
                let response = try used.message(seconds: 30)
                reader = response.closes || uses == Self.usesOfConnection ? nil : used
                self.state.change { state in
                    if response.status == request.status {
                        state.answers[response.field("x-served-by") ?? "balancer", default: 0] += 1
                    } else {
                        let reason = response.field("x-balancer-reason") ?? response.field("x-served-by") ?? ""
                        state.failures.append("\(request.text.prefix(40)): \(response.start) \(reason)")
                    }
                }
            } catch {
                reader = nil
                self.state.change { $0.failures.append("\(request.text.prefix(40)): \(error)") }
            }
            self.state.change { $0.turns[client] += 1 }
            // A client that thinks: the processors are for the programs.
            usleep(8_000)
        }
        self.state.change { $0.running -= 1 }
    }

    func answers(of pod: String) -> Int { self.state.value.answers[pod] ?? 0 }
    var failures: [String] { self.state.value.failures }
    /// The addresses that clients are connected to now.
    var places: Set<String> { Set(self.state.value.places) }
    var total: Int { self.state.value.answers.values.reduce(0, +) }

    /// Answers by side: `legacy`, `core`, `gateway`, and `balancer` for its own.
    private var sides: [String: Int] {
        var sides: [String: Int] = [:]
        for (pod, count) in self.state.value.answers {
            let side =
                pod.hasPrefix("kusama-otv-backend")
                ? "legacy"
                : pod.hasPrefix("otv-core") ? "core" : pod.hasPrefix("otv-gateway") ? "gateway" : pod
            sides[side, default: 0] += count
        }
        return sides
    }

    /// Waits until each client has seen the end of a request that it sent after this call.
    func awaitRound(seconds: Double = 60) throws {
        let before = self.state.value.turns
        let ended = eventually(seconds: seconds) {
            zip(self.state.value.turns, before).allSatisfy { $0 >= $1 + 2 }
        }
        guard ended else { throw TestFailure("not each client has had an answer; \(self.failures.suffix(5))") }
    }

    func awaitAnswers(_ count: Int, seconds: Double = 60) throws {
        let goal = self.total + count
        guard eventually(seconds: seconds, { self.total >= goal }) else {
            throw TestFailure("only \(self.total) of \(goal) answers; failures \(self.failures.suffix(5))")
        }
    }

    /// Who answers the next requests, in percent of them, and how many there were.
    func shares(of count: Int = 400) throws -> [String: Double] {
        // What was routed before must have ended.
        try self.awaitRound()
        let before = self.sides
        try self.awaitAnswers(count)
        let after = self.sides
        var difference: [String: Int] = [:]
        for (side, number) in after where number > before[side] ?? 0 { difference[side] = number - (before[side] ?? 0) }
        let sum = Double(difference.values.reduce(0, +))
        return difference.mapValues { Double($0) / sum * 100 }
    }

    func stop() throws {
        self.state.change { $0.stopping = true }
        guard eventually(seconds: 60, { self.state.value.running == 0 }) else {
            throw TestFailure("load does not end")
        }
    }
}
