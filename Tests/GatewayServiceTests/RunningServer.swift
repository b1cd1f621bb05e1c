import Documents
import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

@testable import GatewayService

/// A server on a port of its own, and a way to talk to it in plain bytes.
struct RunningServer: Sendable {
    /// Fields that mean nothing, and so many of them that the codec has to see them.
    static let manyFields = String(repeating: "A: b\r\n", count: 65)

    let port: Int
    /// Tells it to stop, as SIGTERM does.
    let stop: @Sendable () async -> Void

    /// Runs `body` with a server, then shuts it down. Returns when the server has ended.
    ///
    /// - Parameter store: nil for the small sample.
    static func run(
        _ change: (inout GatewayConfiguration) -> Void = { _ in }, store given: (any DocumentStore)? = nil,
        requestLog: FileHandle = .standardOutput, body: @escaping @Sendable (RunningServer) async throws -> Void
    ) async throws {
        var configuration = GatewayConfiguration()
        configuration.port = 0
        configuration.drain = .zero
        // What is slow on a busy machine is no failure here.
        configuration.deadline = .seconds(60)
        change(&configuration)
        var store = given
        if store == nil, configuration.service == .full {
            let sample = try EmbeddedStore(reading: .memory)
            try sample.insert(SampleData(shape: .small).documents())
            store = sample
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let (ports, listening) = AsyncStream<Int>.makeStream()
        let server = GatewayServer(
            configuration, store: store, upSince: 1_731_499_200_000, logger: logger,
            requestLog: requestLog.fileDescriptor
        ) { port in
            listening.yield(port)
        }
        // It has the descriptor alone.
        defer { withExtendedLifetime(requestLog) {} }
        let group = ServiceGroup(configuration: .init(services: [server], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { listening.finish() }
                try await group.run()
            }
            for await port in ports {
                do {
                    try await body(RunningServer(port: port) { await group.triggerGracefulShutdown() })
                } catch {
                    await group.triggerGracefulShutdown()
                    throw error
                }
                break
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    /// A connection that a test drives itself. What it does not read waits in the server.
    func connect() async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// A connection that reads whatever comes, and says what a test writes to its channel.
    func dial() async throws -> any Channel {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port).get()
    }

    /// Sends pieces on one connection, each after a turn of the network, and reads until the server closes it. The last
    /// request must make it do so.
    func exchange(_ pieces: String...) async throws -> String {
        try await connect().executeThenClose { inbound, outbound in
            do {
                for piece in pieces where !piece.isEmpty {
                    try await outbound.write(ByteBuffer(string: piece))
                    if pieces.count > 1 { await Task.yield() }
                }
            } catch ChannelError.ioOnClosedChannel {
                // The server has ended it before it had all: what it said of that is still to be read.
            }
            var answer = ByteBuffer()
            for try await var chunk in inbound { answer.writeBuffer(&chunk) }
            return String(buffer: answer)
        }
    }

    /// One request; the Date header, which no test can know, is left out.
    func send(_ method: String, _ target: String, _ headers: [String] = [], body: String = "") async throws -> Answer {
        var lines = ["\(method) \(target) HTTP/1.1", "Host: h", "Connection: close"] + headers
        if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
        return Answer(try await exchange(lines.joined(separator: "\r\n") + "\r\n\r\n" + body))
    }

    struct Answer: Sendable {
        let status: String
        let headers: [String]
        let body: String

        init(_ text: String) {
            let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            let lines = (parts.first ?? "").split(separator: "\r\n").map(String.init)
            status = lines.first ?? ""
            headers = lines.dropFirst().filter { !$0.hasPrefix("Date: ") }.sorted()
            body = parts.count > 1 ? String(parts[1]) : ""
        }
    }
}

/// Reads a connection's responses one after the other.
struct ResponseReader {
    private var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private var buffer = ByteBuffer()

    init(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) {
        iterator = inbound.makeAsyncIterator()
    }

    /// The next head, with the empty line that ends it; nil when the server has closed.
    mutating func head() async throws -> String? {
        while true {
            let start = String(decoding: buffer.readableBytesView.prefix(4096), as: UTF8.self)
            if let end = start.firstRange(of: "\r\n\r\n") {
                return buffer.readString(length: start[..<end.upperBound].utf8.count)
            }
            guard try await more() else { return nil }
        }
    }

    /// The next response; nil when the server has closed.
    mutating func next() async throws -> (head: String, body: ByteBuffer)? {
        guard let head = try await head() else { return nil }
        let length = head.firstMatch(of: #/Content-Length: (\d+)/#).flatMap { Int($0.1) } ?? 0
        while buffer.readableBytes < length {
            guard try await more() else { return nil }
        }
        return (head, buffer.readSlice(length: length) ?? ByteBuffer())
    }

    private mutating func more() async throws -> Bool {
        guard var chunk = try await iterator.next() else { return false }
        if buffer.readableBytes == 0 { buffer = chunk } else { buffer.writeBuffer(&chunk) }
        return true
    }
}
