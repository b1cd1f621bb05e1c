import ArgumentParser
import AsyncHTTPClient
import Control
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Asks a running balancer. Prints what went wrong and throws the exit status: 1 when the balancer refuses, 2 when it
/// cannot be reached.
struct AdminClient: Sendable {
    /// Seconds for a whole call.
    private static let patience: Int64 = 10
    private static let connectPatience: Int64 = 3
    /// Bytes of an answer; thousands of endpoints with 64 probes each fit.
    private static let answerLimit = 256 << 20

    let options: AdminOptions

    private var base: String { AdminOptions.base(self.options.address) }

    func get(_ path: String) async throws -> Data {
        try await self.ask(.GET, path, body: nil, headers: [:])
    }

    func put(_ path: String, body: Data, headers: [String: String] = [:]) async throws -> Data {
        try await self.ask(.PUT, path, body: body, headers: headers)
    }

    func post(_ path: String, body: Data, headers: [String: String] = [:]) async throws -> Data {
        try await self.ask(.POST, path, body: body, headers: headers)
    }

    /// Reads an answer.
    func read<Body: Decodable>(_ data: Data, as type: Body.Type) throws -> Body {
        do {
            return try JSONDecoder().decode(Body.self, from: data)
        } catch {
            Output.error("balancer: \(self.base) answers in a way this version does not understand")
            throw ExitCode(2)
        }
    }

    /// Shows the answer: as it came with `--json`, else by `show`.
    func show<Body: Decodable>(_ data: Data, as type: Body.Type, by show: (Body) -> Void) throws {
        if self.options.json {
            Output.line(String(decoding: data, as: UTF8.self))
            return
        }
        show(try self.read(data, as: type))
    }

    private func ask(_ method: HTTPMethod, _ path: String, body: Data?, headers: [String: String]) async throws -> Data
    {
        let status: UInt
        let answer: Data
        do {
            (status, answer) = try await self.answer(method, path, body: body, headers: headers)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            Output.error("balancer: cannot reach the admin API at \(self.base): \(error.networkWords)".visible)
            throw ExitCode(2)
        }
        guard (200...299).contains(status) else {
            if !self.isSecure, self.saysTLS(status, answer) {
                Output.error("balancer: the admin API at \(self.base) speaks TLS: ask https://\(self.base)".visible)
                throw ExitCode(2)
            }
            self.explain(status, answer)
            throw ExitCode(1)
        }
        return answer
    }

    private var isSecure: Bool { self.options.trust.isSecure(self.options.address) }

    /// Whatever the balancer answers. Says nothing of it.
    func answer(
        _ method: HTTPMethod, _ path: String, body: Data?, headers: [String: String]
    ) async throws -> (status: UInt, body: Data) {
        try await self.exchange(method, path, body: body, headers: headers) { response in
            let buffer = try await response.body.collect(upTo: Self.answerLimit)
            return (response.status.code, Data(buffer.readableBytesView))
        }
    }

    /// Asks, and reads the answer by `read`, which may go on for as long as each of its parts comes within `silence` seconds of the one
    /// before.
    func exchange<Value: Sendable>(
        _ method: HTTPMethod, _ path: String, body: Data? = nil, headers: [String: String] = [:], silence: Int64? = nil,
        _ read: (HTTPClientResponse) async throws -> Value
    ) async throws -> Value {
        let origin = "\(self.isSecure ? "https" : "http")://\(self.base)"
        var request = HTTPClientRequest(url: origin + path)
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        let token = try self.options.token()
        if let token {
            if !self.isSecure, !self.options.insecure, !AdminAddress.isLocal(self.base) {
                Output.error(
                    "balancer: the token would go in the clear to \(self.base): ask https://\(self.base), or say --insecure"
                        .visible)
                throw ExitCode(1)
            }
            request.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        var configuration = HTTPClient.Configuration(
            timeout: .init(connect: .seconds(Self.connectPatience), read: silence.map { .seconds($0) }))
        // Whoever asks a balancer that is not there wants to know now.
        configuration.connectionPool.retryConnectionEstablishment = false
        if self.isSecure { configuration.tlsConfiguration = try self.options.trust.configuration() }
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            // A port that speaks TLS would read the token before it could say so.
            if token != nil, !self.isSecure { try await self.findOut(client, origin) }
            let value = try await read(try await client.execute(request, timeout: .seconds(Self.patience)))
            try await client.shutdown()
            return value
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    /// What an address that is to see the token in the clear turned out to be.
    private struct NotPlain: Error, CustomStringConvertible {
        let description: String
    }

    /// Asks what needs no token, without one. Throws where the answer is none of an admin API in the clear.
    private func findOut(_ client: HTTPClient, _ origin: String) async throws {
        let response = try await client.execute(
            HTTPClientRequest(url: origin + "/healthz"), timeout: .seconds(Self.patience))
        let answer = Data(try await response.body.collect(upTo: 65_536).readableBytesView)
        if self.saysTLS(response.status.code, answer) {
            throw NotPlain(description: "it speaks TLS: ask https://\(self.base)")
        }
    }

    /// A port that speaks TLS tells those who do not.
    private func saysTLS(_ status: UInt, _ answer: Data) -> Bool {
        status == 400 && String(decoding: answer, as: UTF8.self).contains("speaks TLS")
    }

    private func explain(_ status: UInt, _ answer: Data) {
        if self.options.json { Output.line(String(decoding: answer, as: UTF8.self)) }
        guard let body = try? JSONDecoder().decode(ErrorBody.self, from: answer) else {
            Output.error("balancer: refused (\(status))")
            return
        }
        Output.error("balancer: refused (\(status)): \(Self.asOptions(body.error))".visible)
        for problem in body.problems { Output.error("  \(problem)".visible) }
    }

    /// What the API says of members of a document is said of options here.
    static func asOptions(_ text: String) -> String {
        text.replacing("\"force\": true and a reason", with: "--force --reason WHY")
            .replacing("\"force\": true", with: "--force")
            .replacing("\"local\": true", with: "--local")
    }

    /// A name as one segment of a path.
    static func segment(_ name: String) -> String { PercentCoding.encoded(name, keeping: ":") }

    /// A value in a query.
    static func query(_ value: String) -> String { PercentCoding.encoded(value, keeping: "/:") }
}
